# SPDX-License-Identifier: GPL-2.0
"""
Installs the project as users do: the Debian package, DKMS by hand, and make install. Each Debian is a system below
build/, so nothing of the host changes. VMs then boot with the /lib/modules that each way leaves. In them modprobe
chooses between our modules and the kernel's own.
"""

import collections
import dataclasses
import json
import re
import shutil
import subprocess
import tarfile

import build
import config
import disk
import initramfs
import packages
import toolchain
import upgrade
from boot import Boot, Setup
from config import LOGS, TOP
from report import FAILED, SKIPPED
from system import AS_ROOT, PLACE, System, check, leaves_nothing, result

# A system has the host's architecture. For a kernel of another architecture, the modules are cross-built, and the
# kernel's packages are unpacked but not installed.
PACKAGES = ("build-essential", "debhelper", "dh-dkms", "dkms", "initramfs-tools", "lintian", "mdevctl", "pahole",
            "python3", "xz-utils")


@dataclasses.dataclass
class Debian:
    """A Debian release, with the packages that the kernels of its suites need."""
    name: str
    suites: tuple
    packages: tuple
    policy: bool = False    # its lintian knows the policy version of the package

    def has(self, target):
        return target.suites[0] in self.suites


DEBIANS = (Debian("Debian 12", ("bookworm", "bookworm-security"),
                  ("linux-compiler-gcc-12-x86", "gcc-12-s390x-linux-gnu"), policy=True),
           Debian("Debian 13", ("trixie", "trixie-backports"), ("gcc-14-for-host", "linux-base/trixie-backports")),
           Debian("Debian 14", ("forky",), ("gcc-16-for-host", "gcc-16-s390x-linux-gnu")))

PACKAGE = "mdev-request"
SOURCE = f"src/{PACKAGE}"

MODULES = {"amd64": {"mdev", "mtty"}, "s390x": {"mdev", "mtty", "vfio_ccw"}}

# The packages that the test in the guest needs, and modprobe.
GUEST = ["python3-minimal", "libpython3-stdlib", "kmod"]

# A sample of the kernel's, whose device QEMU holds on the installed mdev.ko.
SAMPLE = config.Test(name="sample", limit=0, reason="it is built, and not run", modules=["kernel/mdpy"])
QEMU = ["qemu-system-x86"]
HOLDER = {"guests/pci_guest", "selftests/qemu/mdpy_client_test"}


def make_system(debian, kernels, report, refresh):
    """The Debian with compilers, DKMS and these kernels; and the stamp that says that the system is complete."""
    debs = [str(deb) for _, kernel in kernels for deb in kernel.debs]
    names = [*PACKAGES, *debian.packages]
    wanted = [debian.suites, names, debs]
    place = PLACE / debian.suites[0]
    system, stamp = System(place / "root", debian), place / "root.json"
    if refresh or not stamp.exists() or json.loads(stamp.read_text()) != json.loads(json.dumps(wanted)):
        report.say(system.who, "making a system to install into")
        stamp.unlink(missing_ok=True)
        packages.run([*AS_ROOT, "rm", "-rf", "--one-file-system", system.root])
        apt = packages.Apt(packages.host_architecture(), debian.suites)
        place.mkdir(parents=True, exist_ok=True)
        (place / "apt.conf").write_text("\n".join(packages.host_acquire()))
        packages.run(["mmdebstrap", "--variant=minbase", f"--include={','.join(names)}",
                      f"--aptopt={place / 'apt.conf'}", debian.suites[0], system.root, apt.dir / "sources.list"])
        for target, kernel in kernels:
            report.say(system.who, f"installing {kernel.release} for {target.arch.name}")
            add_kernel(system, target, kernel)
        stamp.write_text(json.dumps(wanted))
    return system, stamp


def add_kernel(system, target, kernel):
    names = []
    for deb in kernel.debs:
        shutil.copy(deb, system.root / "tmp")
        names.append(f"/tmp/{deb.name}")
    if target.arch.name == packages.host_architecture():
        system.run("dpkg", "--install", *names)
    else:
        # In Debian /lib is a link. dpkg -x would replace it by a folder.
        for name in names:
            system.run("sh", "-c", f"dpkg-deb --fsys-tarfile {name} | tar -C / -x --keep-directory-symlink")
        system.run("depmod", kernel.release)
    for name in names:
        (system.root / name[1:]).unlink()


def export(system):
    """Copies the files that git knows or would add, as they are now, into the system."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=TOP, text=True, check=True,
                             stdout=subprocess.PIPE).stdout
    system.run("mkdir", "-p", f"/{SOURCE}")
    archive = PLACE / "source.tar"
    with tarfile.open(archive, "w") as tar:
        for name in filter(None, listing.split("\0")):
            if (TOP / name).exists():
                tar.add(TOP / name, name, filter=lambda info: info.replace(uid=0, gid=0, deep=False))
    packages.run([*AS_ROOT, "tar", "-C", system.root / SOURCE, "-xf", archive])


class Installed:
    """The files below /lib/modules after each way of installation: {kernel: files of an initramfs}."""

    def __init__(self, system):
        self._system = system
        self.files = collections.defaultdict(dict)

    def keep(self, way, kernel):
        """Keeps the index files of depmod, and the modules that modprobe may load."""
        folder = self._system.root / "lib/modules" / kernel.release
        wanted = set(folder.glob("modules.*"))
        for line in (folder / "modules.dep").read_text().splitlines():
            path, _, needs = line.partition(":")
            if re.search(r"/(vfio|vfio_iommu_type1|mdev|mtty|vfio_ccw|kvmgt)\.ko", path):
                wanted |= {folder / name for name in (path, *needs.split())}
        # The index files name only one of two modules of the same name. Keep both.
        wanted |= set(folder.rglob("mdev.ko*"))
        for path in wanted:
            self.files[kernel.release][f"states/{way}/{kernel.release}/{path.relative_to(folder)}"] = path.read_bytes()

    def check(self, target, kernel, way, folder):
        """Checks that our modules, and no others, are in the folder, and that modprobe would load them."""
        root = self._system.root / "lib/modules" / kernel.release
        found = {path.name.partition(".")[0] for path in (root / folder).rglob("*.ko*")}
        check(found == MODULES[target.arch.name], f"{way}: {folder} has {sorted(found)}")
        for name in found:
            chosen = self._system.run("modprobe", "--set-version", kernel.release, "--show-depends", name)
            last = chosen.split("\n")[-2].split()[1]
            check(last.startswith(f"/lib/modules/{kernel.release}/{folder}/"),
                  f"{way}: modprobe {name} comes to {last}")
        self.keep(way, kernel)


def check_mdevs(system, *argv):
    """mdevs runs up to its check for sysfs, which this system does not have."""
    code, output = system.attempt(*argv)
    check(code == 1 and "mdev.ko is not loaded" in output, f"{' '.join(argv)} ended with {code}: {output}")


def version_out_of_range():
    """The newest kernel that is too old, and what the build says of it."""
    low, oldest = config.kernel_range()[0]
    check(oldest > 0, "this test knows no kernel that is too old")
    return f"{low}.{oldest - 1}", f"is older than {low}.{oldest}"


def dkms_arch(target):
    return {"amd64": "x86_64"}.get(target.arch.name, target.arch.name)


def dkms_refuses(system, kernel, version, number, source, reason):
    """DKMS refuses a kernel. It is made of a supported one, with another name and number, and maybe another source."""
    release = f"{number}.0-1-test"
    folder = f"/lib/modules/{release}"
    system.run("mkdir", folder)
    system.run("ln", "-s", f"/lib/modules/{kernel.release}/build", f"{folder}/build")
    system.run("ln", "-s", source, f"{folder}/source")
    try:
        for command in ("build", "install"):
            code, output = system.attempt("dkms", command, f"{PACKAGE}/{version}", "-k", release)
            check(code == 77, f"dkms {command} for {number} ended with {code}, not with 77")
            check(f"Linux {number} {reason}" in output, f"dkms {command} for {number} gives no reason: {output}")
    finally:
        system.run("rm", "-r", folder)


def refusals(system, kernel, version):
    """Unsupported kernels are refused: one that is too old, and one whose VFIO has a new operation."""
    number, reason = version_out_of_range()
    dkms_refuses(system, kernel, version, number, f"/lib/modules/{kernel.release}/source", reason)
    major, minor = number.split(".")
    code, output = system.attempt("make", "-C", f"/{SOURCE}", f"KDIR=/lib/modules/{kernel.release}/build",
                                  f"VERSION={major}", f"PATCHLEVEL={minor}")
    check(code and f"Linux {number} {reason}" in output, f"make for {number} gives no reason: {output}")

    system.run("sh", "-c", f"mkdir -p /tmp/odd/include/linux && sed 's/(\\*init)/(*frobnicate)(void); int (*init)/' "
               f"/lib/modules/{kernel.release}/source/include/linux/vfio.h > /tmp/odd/include/linux/vfio.h")
    number = ".".join(kernel.release.split(".")[:2])
    dkms_refuses(system, kernel, version, number, "/tmp/odd",
                 "is not supported: its struct vfio_device_ops has what is not known here: frobnicate")
    system.run("rm", "-r", "/tmp/odd")


def native(kernels):
    """Those of the host's architecture, for which the package is installed."""
    return [(target, kernel) for target, kernel in kernels if target.arch.name == packages.host_architecture()]


def deb_of(version):
    return f"/src/{PACKAGE}-dkms_{version}_all.deb"


def by_package(system, installed, kernels, version, report):
    here = native(kernels)
    if not here:
        report.result(system.who, "package", SKIPPED, "none of these kernels is of the host's architecture")
        return
    with result(report, system, "package: it is built, without a network"):
        system.run("sh", "-c", f"cd /{SOURCE} && dpkg-buildpackage --no-sign")
    if system.debian.policy:
        with result(report, system, "package: lintian has nothing to say"):
            output = system.run("sh", "-c", "lintian --allow-root --display-info --pedantic "
                                f"--fail-on=error,warning,info,pedantic /src/{PACKAGE}_{version}_*.changes")
            check(not output.strip(), output)
    with result(report, system, "package: purged, it leaves nothing"), leaves_nothing(system):
        try:
            with result(report, system, "package: DKMS has its modules built and installed for each kernel"):
                output = system.run("apt-get", "install", "--yes", deb_of(version))
                check("Processing triggers for initramfs-tools" in output, "the initramfs is not updated")
                for target, kernel in here:
                    installed.check(target, kernel, "package", "updates/dkms")
            with result(report, system, "package: mdevs runs"):
                check_mdevs(system, "mdevs")
            with result(report, system, "package: a kernel that comes later gets its modules"):
                target, kernel = here[0]
                system.run("dkms", "unbuild", f"{PACKAGE}/{version}", "-k", kernel.release)
                check(not (system.root / "lib/modules" / kernel.release / "updates").exists(),
                      "dkms unbuild left its folder")
                # The command that the postinst of the kernel's headers runs.
                system.run("linux-run-hooks", "headers", "postinst", kernel.release, "--", "configure")
                installed.check(target, kernel, "package", "updates/dkms")
        finally:
            output = system.run("apt-get", "purge", "--yes", f"{PACKAGE}-dkms")
        check("Processing triggers for initramfs-tools" in output, "the initramfs is not updated after the purge")
    for _, kernel in here:
        installed.keep("purged", kernel)


def by_dkms(system, installed, kernels, version, report):
    with result(report, system, "dkms: removed, it leaves nothing"), leaves_nothing(system):
        try:
            system.run("dkms", "add", f"/{SOURCE}")
            with result(report, system, "dkms: mdevs runs from the source"):
                check_mdevs(system, f"/usr/src/{PACKAGE}-{version}/tools/mdevs")
            for target, kernel in kernels:
                one = (f"{PACKAGE}/{version}", "-k", f"{kernel.release}/{dkms_arch(target)}")
                with result(report, system, f"dkms: build and install for {kernel.release}"):
                    system.run("dkms", "build", *one)
                    system.run("dkms", "install", *one)
                    check("installed" in system.run("dkms", "status", *one), "dkms does not say that it is installed")
                    installed.check(target, kernel, "dkms", "updates/dkms")
            with result(report, system, "dkms and make: kernels that are refused are passed over, with the reason"):
                refusals(system, kernels[0][1], version)
        finally:
            system.run("dkms", "remove", f"{PACKAGE}/{version}", "--all")
            # DKMS keeps its copy of the source after a removal, so that it can be added again.
            system.run("rm", "-r", f"/usr/src/{PACKAGE}-{version}")
    for _, kernel in kernels:
        installed.keep("undone", kernel)


def by_make(system, installed, kernels, report):
    for target, kernel in kernels:
        make = ("make", "-C", f"/{SOURCE}", f"KDIR=/lib/modules/{kernel.release}/build")
        with (result(report, system, f"make: uninstalled for {kernel.release}, it leaves nothing"),
              leaves_nothing(system)):
            try:
                with result(report, system, f"make: install for {kernel.release}"):
                    system.run(*make, "install")
                    installed.check(target, kernel, "make", "updates")
                    check_mdevs(system, "/usr/local/bin/mdevs")
            finally:
                system.run(*make, "uninstall")
                system.run(*make, "clean")


def in_guest(target, kernel, files, report, args):
    """Boots the kernel with all that was installed for it. In the guest modprobe chooses the modules."""
    bare = upgrade.without_modules(target)
    kernel.toolchain = toolchain.fetch_kernel(target, report).toolchain
    has_sample = target.arch.name == "amd64"
    programs = build.build_programs(target, kernel, {"vm/guest/supervise", *(HOLDER if has_sample else ())},
                                    LOGS / target.name)
    samples = build.kernel_drivers(target, kernel, LOGS / target.name, [SAMPLE] if has_sample else [])
    archive = initramfs.base_archive(bare, kernel, samples, programs, False)
    more = initramfs.Cpio()
    for name, data in sorted(files.items()):
        more.file(name, data, 0o644)
    test = config.Test(name="modprobe", limit=900, reason="some 180 s emulated; the rest is for a loaded machine",
                       program="clients/modprobe_test.py", packages=GUEST + (QEMU if has_sample else []))
    disks = {test.root: disk.root(target, test.root, report, args.refresh)}
    Boot(Setup(bare, kernel, archive + more.bytes(), disks, kvm=args.kvm), [test], report).run()


def in_debian(debian, kernels, report, args):
    """
    Installs in all ways in one system. Returns the files that they put into /lib/modules, and the disk of upgrade.py.
    """
    system, stamp = make_system(debian, kernels, report, args.refresh)
    # The system is used again only if each removal has left nothing.
    failures, made = report.count(FAILED), stamp.read_text()
    stamp.unlink()
    export(system)
    version = re.search(r'^PACKAGE_VERSION="(.*)"$', (TOP / "dkms.conf").read_text(), flags=re.M)[1]
    installed = Installed(system)
    by_package(system, installed, kernels, version, report)
    by_dkms(system, installed, kernels, version, report)
    by_make(system, installed, kernels, report)
    image = upgrade.make_disk(system, native(kernels), deb_of(version), report)
    system.run("rm", "-r", "/src")
    if report.count(FAILED) == failures:
        stamp.write_text(made)
    return installed.files, image


def run(args, report):
    LOGS.mkdir(parents=True, exist_ok=True)
    # Only Debian's kernels have headers to install.
    targets = [config.load_target(name) for name in args.target or config.target_names(long=True)]
    targets = [target for target in targets if target.headers and not target.like]
    check(targets, "none of these kernels is one of Debian's")
    with config.locked(PLACE):
        (LOGS / "install.log").unlink(missing_ok=True)
        for debian in DEBIANS:
            kernels = [(target, packages.fetch(target, report, args.refresh)) for target in targets
                       if debian.has(target)]
            if not kernels:
                continue
            files, disk = in_debian(debian, kernels, report, args)
            for target, kernel in kernels:
                with config.locked(target.dir):
                    in_guest(target, kernel, files[kernel.release], report, args)
            if disk:
                upgrade.run(native(kernels), disk, report, args)
