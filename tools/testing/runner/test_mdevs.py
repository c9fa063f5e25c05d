# SPDX-License-Identifier: GPL-2.0
"""mdevs on a made-up sysfs: its output, and its handling of devices that are removed while it reads them."""

import ast
import contextlib
import importlib.machinery
import importlib.util
import json
import os
import re
import stat
import subprocess
import time

import pytest
from config import TOP

PROGRAM = TOP / "tools/mdevs"

ONE = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
TWO = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"

# Attributes of a device without a holder.
FREE = {"holder": "", "request": "0\n", "request_count": "0\n", "request_since": "0\n"}
WANTED = {"holder": "182 vfio_hold\n", "request": "1\n", "request_count": "3\n", "request_since": "1700000000\n"}


def load():
    loader = importlib.machinery.SourceFileLoader("mdevs", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mdevs", loader))
    loader.exec_module(module)
    return module


mdevs = load()


class Host:
    """A made-up /sys, with one parent."""

    def __init__(self, root):
        self.root = root
        self.parent = root / "sys/devices/virtual/mtty/mtty"
        self.devices = root / "sys/bus/mdev/devices"
        self.devices.mkdir(parents=True)
        self.add_parent()

    def add_parent(self):
        for kind, left in (("mtty-1", 22), ("mtty-2", 11)):
            folder = self.parent / "mdev_supported_types" / kind
            folder.mkdir(parents=True)
            (folder / "available_instances").write_text(f"{left}\n")
        parents = self.root / "sys/class/mdev_bus"
        parents.mkdir(parents=True)
        (parents / "mtty").symlink_to(self.parent)

    def add(self, uuid, kind="mtty-1", **attributes):
        device = self.parent / uuid
        device.mkdir()
        for name, text in attributes.items():
            (device / name).write_text(text)
        (device / "mdev_type").symlink_to(f"../mdev_supported_types/{kind}")
        (self.devices / uuid).symlink_to(device)
        return device

    def run(self, *options, **more):
        return subprocess.run(["/usr/bin/python3", "-B", PROGRAM, "--root", self.root, *options], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TZ": "UTC"}, **more)

    def printed(self, *options):
        done = self.run(*options)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_the_oldest_python_can_read_it():
    ast.parse(PROGRAM.read_text(), feature_version=(3, 9))


def test_a_host_without_mdev_is_told_so(tmp_path):
    for options in ([], ["--json"], ["--prometheus"], ["--watch"]):
        done = subprocess.run([PROGRAM, "--root", tmp_path, *options], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(r"mdevs: mdev.ko is not loaded on this host: .*\n", done.stderr)


def test_a_host_without_devices_has_an_empty_table(host):
    assert host.printed() == "DEVICE  TYPE  PARENT  HOLDER  PENDING SINCE  REQUESTS\n"
    assert json.loads(host.printed("--json"))["devices"] == []


def test_the_table_tells_the_holder_and_the_request(host):
    host.add(TWO, kind="mtty-2", **WANTED)
    host.add(ONE, **FREE)
    assert host.printed().splitlines() == [
        "DEVICE                                TYPE    PARENT  HOLDER           PENDING SINCE        REQUESTS",
        f"{ONE}  mtty-1  mtty    none             none                 0",
        f"{TWO}  mtty-2  mtty    vfio_hold (182)  2023-11-14 22:13:20  3",
    ]


def test_json_has_the_same(host):
    host.add(ONE, **FREE)
    host.add(TWO, kind="mtty-2", **WANTED)
    found = json.loads(host.printed("--json"))
    assert found["devices"] == [
        {"uuid": ONE, "type": "mtty-1", "parent": "mtty", "held": False, "holder": None, "pending": False,
         "pending_since": None, "request_count": 0},
        {"uuid": TWO, "type": "mtty-2", "parent": "mtty", "held": True,
         "holder": {"pid": 182, "name": "vfio_hold", "exited": False}, "pending": True, "pending_since": 1700000000,
         "request_count": 3}]
    assert found["types"] == [
        {"type": "mtty-1", "parent": "mtty", "devices": 1, "available_instances": 22},
        {"type": "mtty-2", "parent": "mtty", "devices": 1, "available_instances": 11}]


def test_what_the_kernels_own_mdev_does_not_tell_is_not_made_up(host):
    host.add(ONE)
    assert host.printed().splitlines()[1].split() == [ONE, "mtty-1", "mtty", "-", "-", "-"]
    assert json.loads(host.printed("--json"))["devices"] == [
        {"uuid": ONE, "type": "mtty-1", "parent": "mtty", "held": None, "holder": None, "pending": None,
         "pending_since": None, "request_count": None}]
    text = host.printed("--prometheus")
    assert 'mdev_devices{parent="mtty",type="mtty-1"} 1' in text
    assert "mdev_held{" not in text and "mdev_request_pending_seconds{" not in text and "mdev_requests{" not in text


@pytest.mark.parametrize("text, holder", [
    ("", None),
    ("182 vfio_hold", (182, "vfio_hold", False)),
    ("182 CPU 0/KVM (x)", (182, "CPU 0/KVM (x)", False)),
    ("0 qemu-kvm", (0, "qemu-kvm", False)),
    ("0 vfio_hold (exited)", (0, "vfio_hold", True)),
    ("182 a (exited)", (182, "a (exited)", False)),
    ("nonsense", None),
])
def test_each_form_of_a_holder_is_understood(text, holder):
    found = mdevs.parse_holder(text)
    assert found == (holder and dict(zip(("pid", "name", "exited"), holder)))


def test_a_holder_that_has_exited_is_named(host):
    host.add(ONE, **{**FREE, "holder": "0 vfio_hold (exited)\n"})
    assert "  vfio_hold (exited)  " in host.printed()


def test_prometheus_has_each_metric_with_help_and_type(host):
    host.add(ONE, **FREE)
    host.add(TWO, kind="mtty-2", **WANTED)
    text = host.printed("--prometheus")
    for name in ("mdev_devices", "mdev_available_instances", "mdev_held", "mdev_request_pending_seconds",
                 "mdev_requests"):
        assert re.search(rf"^# HELP {name} \S.*\n# TYPE {name} gauge\n{name}{{", text, re.MULTILINE)
    two = f'uuid="{TWO}",parent="mtty",type="mtty-2"'
    assert f"mdev_held{{{two}}} 1\n" in text and f"mdev_requests{{{two}}} 3\n" in text
    pending = int(re.search(rf"^mdev_request_pending_seconds{{{two}}} (\d+)$", text, re.MULTILINE)[1])
    assert abs(time.time() - 1700000000 - pending) < 60
    one = f'uuid="{ONE}",parent="mtty",type="mtty-1"'
    assert f"mdev_held{{{one}}} 0\n" in text and f"mdev_request_pending_seconds{{{one}}} 0\n" in text
    assert 'mdev_available_instances{parent="mtty",type="mtty-2"} 11\n' in text
    # A single run cannot count revocations.
    assert "revocations" not in text


def test_labels_are_escaped():
    assert mdevs.metric("m", "gauge", "M.", [({"a": 'x"\\\n'}, 1)]).endswith('m{a="x\\"\\\\\\n"} 1\n')


def test_a_clock_that_was_set_back_gives_no_negative_time(host):
    host.add(ONE, **{**WANTED, "request_since": f"{int(time.time()) + 1000}\n"})
    assert re.search(r"^mdev_request_pending_seconds{.*} 0$", host.printed("--prometheus"), re.MULTILINE)


def test_a_file_is_replaced_at_once_and_can_be_read_by_all(host):
    host.add(ONE, **FREE)
    file = host.root / "mdevs.prom"
    file.write_text("old")
    with open(file) as old:
        assert host.printed("--prometheus", "--output", file) == ""
        assert old.read() == "old"
    assert file.read_text() == host.printed("--prometheus")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert sorted(path.name for path in host.root.iterdir()) == ["mdevs.prom", "sys"]


def test_a_file_that_cannot_be_written_is_an_error(host):
    done = host.run("--output", host.root / "none/mdevs.prom")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"mdevs: .*No such file or directory.*\n", done.stderr)


def test_what_is_not_yet_whole_is_no_metrics_and_does_not_stay(tmp_path, monkeypatch):
    def refuse(made, path):
        # The collector reads all files whose names end with .prom.
        assert not made.endswith(".prom") and os.path.dirname(made) == str(tmp_path)
        raise OSError

    monkeypatch.setattr(mdevs.os, "replace", refuse)
    with pytest.raises(OSError):
        mdevs.write_file(str(tmp_path / "mdevs.prom"), "text")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interval", ["0", "-1", "soon"])
def test_an_interval_is_a_positive_number(host, interval):
    assert host.run("--watch=" + interval).returncode == 2


def test_a_user_who_is_not_root_is_told_once_what_is_missing(host, monkeypatch, capsys):
    host.add(ONE, **WANTED)
    host.add(TWO, **WANTED)

    def refusing(path, **options):
        if path.endswith("/holder"):
            raise PermissionError
        return open(path, **options)

    monkeypatch.setattr(mdevs, "open", refusing, raising=False)
    found = mdevs.read_devices(mdevs.Sysfs(host.root))
    assert [(device["held"], device["request_count"]) for device in found] == [(None, 3), (None, 3)]
    assert capsys.readouterr().err == "mdevs: only root can see the holders\n"


def vanishing(host, monkeypatch, name, action):
    """The output of mdevs if an action happens just before it reads the attribute."""
    read = mdevs.Sysfs.read

    def acts(sysfs, *path):
        if path[-1] == name:
            action()
        return read(sysfs, *path)

    monkeypatch.setattr(mdevs.Sysfs, "read", acts)
    return [device["uuid"] for device in mdevs.read_devices(mdevs.Sysfs(host.root))]


@pytest.mark.parametrize("name", ["holder", "request_count", "request_since"])
def test_a_device_that_is_removed_meanwhile_is_left_out(host, monkeypatch, name):
    device = host.add(ONE, **WANTED)
    host.add(TWO, **FREE)

    def remove():
        with contextlib.suppress(FileNotFoundError):
            (device / "mdev_type").unlink()
            for attribute in WANTED:
                (device / attribute).unlink()
            (host.devices / ONE).unlink()

    assert vanishing(host, monkeypatch, name, remove) == [TWO]


def test_a_device_that_is_made_again_meanwhile_is_left_out(host, monkeypatch):
    device = host.add(ONE, **WANTED)

    def remake():
        device.rename(host.root / "old")
        (host.devices / ONE).unlink()
        host.add(ONE, **FREE)

    assert vanishing(host, monkeypatch, "request_count", remake) == []


def test_a_device_whose_attribute_cannot_be_read_any_more_is_left_out(host):
    device = host.add(ONE, **WANTED)
    host.add(TWO, **FREE)
    # Reading the attribute fails, like that of an attribute that sysfs has removed.
    (device / "holder").unlink()
    (device / "holder").mkdir()
    assert [entry["uuid"] for entry in json.loads(host.printed("--json"))["devices"]] == [TWO]


def test_a_link_to_nothing_is_no_device(host):
    (host.devices / ONE).symlink_to(host.parent / ONE)
    assert json.loads(host.printed("--json"))["devices"] == []


def test_a_type_whose_number_cannot_be_read_is_listed(host):
    number = host.parent / "mdev_supported_types/mtty-2/available_instances"
    number.unlink()
    number.mkdir()
    assert {"type": "mtty-2", "parent": "mtty", "devices": 0, "available_instances": None} in \
        json.loads(host.printed("--json"))["types"]
    assert 'mdev_available_instances{parent="mtty",type="mtty-2"}' not in host.printed("--prometheus")


def uevent(*variables):
    return "\0".join(("change@/devices/x", "DEVPATH=/devices/virtual/mtty/mtty/" + ONE, *variables, "")).encode()


def test_events_of_others_are_not_ours():
    assert mdevs.parse_uevent(uevent("SUBSYSTEM=mdev", "MDEV_REQUEST=met"))["MDEV_REQUEST"] == "met"
    assert mdevs.parse_uevent(uevent("SUBSYSTEM=pci", "MDEV_STATE=registered"))
    assert not mdevs.parse_uevent(uevent("SUBSYSTEM=block", "ACTION=change"))
    assert not mdevs.parse_uevent(b"\xff\0libudev\0")


class Socket:
    """Stands in for the kernel's socket: returns the messages in order, then nothing."""

    def __init__(self, *messages):
        self._messages = list(messages)

    def recvfrom(self, size):
        if not self._messages:
            raise BlockingIOError
        message = self._messages.pop(0)
        if isinstance(message, OSError):
            raise message
        return message

    def __getattr__(self, name):
        return lambda *arguments: None


@pytest.mark.parametrize("messages, ours, revoked", [
    ([], False, {}),
    ([(uevent("SUBSYSTEM=block"), (0, 1))], False, {}),
    ([(uevent("SUBSYSTEM=block"), (0, 1)), (uevent("SUBSYSTEM=mdev"), (0, 1))], True, {}),
    ([(uevent("SUBSYSTEM=mdev"), (0, 1)), (uevent("SUBSYSTEM=block"), (0, 1))], True, {}),
    ([(uevent("SUBSYSTEM=mdev", "MDEV_REQUEST=revoked"), (0, 1))] * 2, True, {"mtty": 2}),
    # A process pretends to be the kernel.
    ([(uevent("SUBSYSTEM=mdev", "MDEV_REQUEST=revoked"), (4711, 1))], False, {}),
    # More messages came than the socket could keep.
    ([OSError(105, "No buffer space available")], True, {}),
])
def test_events_are_told_apart(monkeypatch, messages, ours, revoked):
    monkeypatch.setattr(mdevs.socket, "socket", lambda *arguments: Socket(*messages))
    events = mdevs.Events()
    assert (events._take(), events.revoked) == (ours, revoked)


def test_revocations_are_counted_from_the_beginning():
    text = mdevs.as_prometheus({"devices": [], "types": []}, {"mtty": 0, "css": 2})
    assert text.endswith('# TYPE mdev_revocations_total counter\nmdev_revocations_total{parent="css"} 2\n'
                         'mdev_revocations_total{parent="mtty"} 0\n')


@contextlib.contextmanager
def watching(host, *options):
    with subprocess.Popen(["/usr/bin/python3", "-B", PROGRAM, "--root", host.root, "--watch", "0.1", *options],
                          text=True, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_watching_prints_again_when_something_has_changed(host):
    host.add(ONE, **FREE)
    with watching(host, "--json") as process:
        assert json.loads(process.stdout.readline())["devices"][0]["request_count"] == 0
        for number in (1, 2):
            (host.root / "new").write_text(f"{number}\n")
            (host.root / "new").rename(host.devices / ONE / "request_count")
            # mdevs prints a line only for a change, so the next line is this one.
            assert json.loads(process.stdout.readline())["devices"][0]["request_count"] == number
            time.sleep(0.5)


def test_watching_ends_when_mdev_is_unloaded(host):
    with watching(host) as process:
        assert process.stdout.readline()
        (host.root / "sys/bus/mdev").rename(host.root / "gone")
        assert process.wait(60) == 1


def test_a_watched_file_is_written_again_without_a_change(host):
    file = host.root / "mdevs.prom"
    with watching(host, "--prometheus", "--output", file):
        for _ in range(2):
            end = time.monotonic() + 60
            while not file.exists() and time.monotonic() < end:
                time.sleep(0.01)
            assert "mdev_revocations_total{" in file.read_text()
            file.unlink()
