# SPDX-License-Identifier: GPL-2.0
"""Fetches Debian packages of any suite and architecture, and unpacks them below build/.

This needs no root, and does not change the host: apt has its own state, cache and list of sources. Only the mirror, the
network settings and the archive's keyring are the host's.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess

from config import BUILD, locked
from report import Failure

# The keyring has another name in Debian 13.
KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp")

# The parts of the kernel's source that checkpatch, kernel-doc, Sphinx, the kselftest harness and the kernel's own
# drivers need.
SOURCE_PARTS = ("scripts", "Documentation/sphinx/kernel*.py",
                "tools/testing/selftests/kselftest*.h", "samples/vfio-mdev", "drivers/vfio/mdev",
                "drivers/s390/cio", "drivers/s390/crypto")

# If packages have all files below /usr, these are links into it. The packages' scripts would make the links.
MERGED = ("bin", "sbin", "lib", "lib64")

# Prefixes of the packages that a kernel's image depends on, if it is split.
IMAGE_PARTS = ("linux-binary-", "linux-modules-")


def run(argv, **more):
    done = subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if done.returncode:
        raise Failure(f"{' '.join(map(str, argv))} failed:\n{done.stdout}")
    return done.stdout


def _mirror(suite):
    """The host's own mirror of a suite. The security archive has a mirror of its own."""
    security = suite.endswith("-security")
    listing = run(["apt-get", "indextargets", "--format", "$(RELEASE)|$(REPO_URI)|$(ORIGIN)",
                   "Created-By: Packages"])
    for line in listing.splitlines():
        release, uri, origin = line.split("|")
        # apt knows the origin of an archive once it has read it. Before that, use the address.
        known = origin and not origin.startswith("$")
        ours = origin == "Debian" if known else "debian" in uri
        if ours and (release.endswith("-security") or not known and "security" in uri) == security:
            return uri
    raise Failure(f"apt's sources on this host have no {'security ' if security else ''}archive of Debian to fetch "
                  f"{suite} from; if there is one among them that was added just now, say: apt-get update")


def host_architecture():
    return run(["dpkg", "--print-architecture"]).strip()


def host_acquire():
    """The host's settings for apt's transfers, such as a proxy."""
    return [line for line in run(["apt-config", "dump", "Acquire"]).splitlines() if line.startswith("Acquire")]


class Apt:
    """apt for one architecture and a set of suites."""

    def __init__(self, arch, suites):
        self._suites = suites
        key = hashlib.sha256(f"{arch} {suites}".encode()).hexdigest()[:8]
        self.dir = BUILD / "apt" / f"{arch}-{key}"
        for name in ("lists/partial", "archives/partial", "none"):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
        (self.dir / "status").touch()
        keyring = next((path for path in KEYRINGS if os.path.exists(path)), None)
        if not keyring:
            raise Failure("the package debian-archive-keyring is missing")
        (self.dir / "sources.list").write_text("".join(
            f"deb [signed-by={keyring} arch={arch}] {_mirror(suite)} {suite} main\n" for suite in suites))
        # Take the newest version of all suites. By default, apt would not take one from backports.
        (self.dir / "preferences").write_text("\n".join(
            f"Package: *\nPin: release n={suite}\nPin-Priority: 500\n" for suite in suites))
        # The host's Acquire settings apply here, such as a proxy; its hooks do not.
        settings = {
            "APT::Architecture": arch, "APT::Sandbox::User": "root", "Dir::State": self.dir,
            "Dir::State::lists": self.dir / "lists", "Dir::State::status": self.dir / "status",
            "Dir::Cache": self.dir, "Dir::Cache::srcpkgcache": "", "Dir::Etc::sourcelist": self.dir / "sources.list",
            "Dir::Etc::sourceparts": self.dir / "none", "Dir::Etc::parts": self.dir / "none",
            "Dir::Etc::preferencesparts": self.dir / "none", "Dir::Etc::preferences": self.dir / "preferences",
            "Dir::Etc::main": "/dev/null", "Acquire::Languages": "none",
        }
        conf = self.dir / "apt.conf"
        conf.write_text("\n".join(host_acquire()) + "".join(f'\n{key} "{value}";' for key, value in settings.items())
                        + f'\n#clear APT::Architectures;\nAPT::Architectures {{ "{arch}"; }};\n')
        self._env = {**os.environ, "APT_CONFIG": str(conf), "LC_ALL": "C"}

    def update(self):
        run(["apt-get", "-q", "update", "-o", "APT::Update::Error-Mode=any"], env=self._env)

    def depends(self, package, prefix):
        """The names of a package's dependencies that start with the prefix."""
        try:
            listing = run(["apt-cache", "depends", package], env=self._env)
        except Failure as failure:
            raise Failure(f"there is no package {package} in {' '.join(self._suites)}: {failure}") from failure
        return [name for name in re.findall(r"Depends: (\S+)", listing) if name.startswith(prefix)]

    def closure(self, packages):
        """The packages and all their dependencies."""
        listing = run(["apt-get", "install", "-qq", "--no-install-recommends", "--print-uris", *packages],
                      env=self._env)
        return sorted(re.findall(r"^'\S+' ([^_\s]+)_", listing, flags=re.M))

    @staticmethod
    def unpack(deb, into):
        run(["dpkg", "-x", deb, into])

    def download(self, packages):
        """Downloads packages; returns the .deb files, in the order of the packages."""
        into = BUILD / "packages"
        files = []
        for line in run(["apt-get", "download", "--print-uris", *packages], env=self._env).splitlines():
            if match := re.match(r"'(\S+)' (\S+) \d+ ", line):
                files.append(into / match[2])
        if len(files) != len(packages):
            raise Failure(f"apt finds {len(files)} of {len(packages)} packages: {' '.join(packages)}")
        run(["apt-get", "-q", "download", *packages], env=self._env, cwd=into)
        return files


def unpack_source(deb, into, parts=("*",)):
    """Unpacks parts of linux-source-*, or all of it."""
    stamp = into / ".parts"
    wanted = f"{deb.stem}: {' '.join(parts)}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    whole = into / ".deb"
    run(["dpkg", "-x", deb, whole])
    tar = next(whole.glob("usr/src/*.tar.xz"))
    run(["tar", "-xf", tar, "-C", into, "--use-compress-program=xz -T0", "--strip-components=1", "--wildcards",
         *(f"*/{part}" for part in parts)])
    shutil.rmtree(whole)
    stamp.write_text(wanted)


def _relocate_headers(root):
    """Debian's header trees name each other and themselves by absolute paths. Make these lead to the unpacked trees."""
    for makefile in root.glob("usr/src/linux-headers-*/Makefile"):
        text = makefile.read_text()
        makefile.write_text(re.sub(r"^(include |KBUILD_OUTPUT=)/usr/src/", rf"\1{root}/usr/src/", text, flags=re.M))


class Kernel:
    """
    An unpacked kernel: the places of its image, modules, headers and parts of its source. A kernel that has yet to be
    built has no release; see kernel.py.
    """

    def __init__(self, target, release, sources, debs):
        self.release = release
        # The packages of image and headers, with dependencies, as an administrator would install them.
        self.debs = [BUILD / "packages" / name for name in debs]
        self.root = target.dir / "root"
        self.image, self.modules = self._places(release)
        self.headers = self.root / "usr/src" / f"linux-headers-{release}"
        self.source = BUILD / sources[target.source]
        self.source_package = BUILD / "packages" / f"{sources[target.source]}.deb"
        self.tools = BUILD / sources[target.tools]
        self.toolchain = None   # where kbuild runs, if not on the host; see toolchain.py

    def source_tree(self, name):
        """A file of the kernel's source in its headers, maybe in the part that all flavours share."""
        return next(path for folder in (self.headers, *self.root.glob("usr/src/linux-headers-*-common"))
                    if (path := folder / name).exists())

    def _places(self, release):
        """
        The image and the modules. Newer packages have the modules below /usr, and the newest have the image beside
        them; older ones have it in /boot.
        """
        modules = self.root / "usr/lib/modules" / release
        if not modules.exists():
            modules = self.root / "lib/modules" / release
        if (modules / "vmlinuz").exists():
            return modules / "vmlinuz", modules
        return self.root / "boot" / f"vmlinuz-{release}", modules


def fetch(target, report, refresh=False):
    """The kernel of a target. Uses the network only if the kernel is not unpacked yet, or to refresh it."""
    stamp = target.dir / "packages.json"
    wanted = [target.suites, target.image, target.headers, target.source, target.tools, target.packages,
              list(SOURCE_PARTS), list(IMAGE_PARTS)]
    if stamp.exists() and not refresh:
        have = json.loads(stamp.read_text())
        if have["wanted"] == wanted and have["top"] == str(BUILD) and "debs" in have:
            return Kernel(target, have["release"], have["sources"], have["debs"])
    # Targets share the downloaded packages and the unpacked sources.
    with locked(BUILD / "packages"):
        report.say(target.name, f"reading the package lists of {', '.join(target.suites)}")
        apt = Apt(target.arch.name, target.suites)
        apt.update()
        # kbuild's own programs run on the host.
        host_arch = host_architecture()
        host_apt = apt
        if host_arch != target.arch.name:
            host_apt = Apt(host_arch, target.suites)
            host_apt.update()
        names, host_names, release = list(target.packages), [], ""
        if target.image:
            image = apt.depends(target.image, "linux-image-")[0]
            parts = [name for prefix in IMAGE_PARTS for name in apt.depends(image, prefix)]
            if parts:
                parts += [image, *apt.depends(parts[0], "linux-base-")]
            headers = apt.depends(target.headers, "linux-headers-")[0]
            release = headers.removeprefix("linux-headers-")
            names += parts or [image + target.arch.image_suffix]
            names += [headers, *apt.depends(headers, "linux-headers-")]
            host_names = apt.depends(headers, "linux-kbuild-")
        source_names = sorted({target.source, target.tools})
        report.say(target.name, f"fetching {' '.join(names + host_names + source_names)}")
        files = apt.download(names) + (host_apt.download(host_names) if host_names else [])
        source_files = apt.download(source_names)
        report.say(target.name, f"unpacking {' '.join(names)}")
        root = target.dir / "root"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        for deb in files:
            apt.unpack(deb, root)
        _relocate_headers(root)
        # The version may differ between architectures, so the folder has the full name of the package.
        sources = {name: deb.stem for name, deb in zip(source_names, source_files)}
        for deb in source_files:
            unpack_source(deb, BUILD / deb.stem, SOURCE_PARTS)
    debs = [deb.name for deb in files if deb.name.startswith("linux-")]
    stamp.write_text(json.dumps({"wanted": wanted, "top": str(BUILD), "release": release, "sources": sources,
                                 "debs": debs}))
    return Kernel(target, release, sources, debs)
