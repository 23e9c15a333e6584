#!/usr/bin/env python3
"""Compares our protobuf messages with the descriptors that the service publishes.

Every message, field, oneof and enum value of ours must exist there under the same name with the same number,
type, label and presence. Ours may leave fields out, never add one. The published files come from the npm package
google-proto-files, in one pinned version, and stay in the cache folder.

Exit status: 0 equal, 1 different, 77 (skipped) where the published files or a tool cannot be had.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import venv

PACKAGE = "google-proto-files"
VERSION = "6.0.1"
SHA512 = (
    "7dbbd4595361deb286955156c2550d17b4a4d536a1d1af3dab4dab2d35ec5a36"
    "ca28719eb944406bcb65f6bbeee53c969f2d58892228e5e0ea176eb44da8babd"
)

OURS = "rangeio.proto."
THEIRS = "google."
OUR_FILES = ["rpc.proto", "storage.proto", "storage_control.proto"]
THEIR_FILES = [
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "google/storage/control/v2/storage_control.proto",
    "google/storage/v2/storage.proto",
]


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def run_or_skip(command, what):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    except (OSError, subprocess.TimeoutExpired) as error:
        skip(f"{what}: {error}")
    if done.returncode != 0:
        skip(f"{what}: {done.stderr.strip()[-500:]}")


def published_protos(cache):
    """The folder of the unpacked package; fetched once."""
    root = cache / f"{PACKAGE}-{VERSION}"
    if root.exists():
        return root
    if not shutil.which("npm"):
        skip("npm is missing: it fetches the published descriptors")
    run_or_skip(
        ["npm", "pack", "--silent", "--pack-destination", str(cache), f"{PACKAGE}@{VERSION}"],
        f"npm pack {PACKAGE}@{VERSION}",
    )
    archive = cache / f"{PACKAGE}-{VERSION}.tgz"
    if hashlib.sha512(archive.read_bytes()).hexdigest() != SHA512:
        archive.unlink()
        sys.exit(f"{archive.name} is not the file that was pinned")
    # Renamed when complete, so that an interrupted run leaves no half of a package behind.
    partial = cache / "unpacking"
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        members = [m for m in tar if m.isfile() and m.name.startswith("package/google/") and ".." not in m.name]
        tar.extractall(partial, members=members)
    (partial / "package").rename(root)
    shutil.rmtree(partial)
    archive.unlink()
    return root


def import_protobuf(cache):
    """Python's protobuf: the system's, or else that of a virtual environment in which this script starts again."""
    try:
        from google.protobuf import descriptor_pb2

        return descriptor_pb2
    except ImportError:
        pass
    home = cache / "venv"
    python = home / "bin" / "python3"
    if pathlib.Path(sys.prefix).resolve() == home.resolve():
        skip("protobuf is missing in its own virtual environment")
    try:
        venv.create(home, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        skip(f"python3 has neither protobuf nor a working venv: {error}")
    run_or_skip([str(python), "-m", "pip", "install", "--quiet", "protobuf"], "pip install protobuf")
    os.execv(python, [str(python), *sys.argv])


def descriptors(descriptor_pb2, protoc, root, files, output):
    subprocess.run(
        [protoc, f"--proto_path={root}", f"--descriptor_set_out={output}", "--include_imports", *files],
        check=True,
    )
    return descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes())


def types_of(files, package):
    """Messages and enums by full name, nested ones included, of all files whose package starts with `package`."""
    messages, enums = {}, {}

    def visit(scope, message):
        name = f"{scope}.{message.name}"
        messages[name] = message
        enums.update({f"{name}.{e.name}": e for e in message.enum_type})
        for nested in message.nested_type:
            visit(name, nested)

    for file in files.file:
        # The well-known types are the compiler's own on both sides, and descriptor.proto is not even proto3.
        if (file.package + ".").startswith(package) and file.package != "google.protobuf":
            if file.syntax != "proto3":
                sys.exit(f"{file.name}: not proto3, presence would mean something else")
            enums.update({f"{file.package}.{e.name}": e for e in file.enum_type})
            for message in file.message_type:
                visit(file.package, message)
    return messages, enums


def presence_of(message, field):
    if field.HasField("oneof_index") and not field.proto3_optional:
        return f"oneof {message.oneof_decl[field.oneof_index].name}"
    return "optional" if field.proto3_optional else "implicit or message"


def features_of(message, field):
    """What decides how a field is written and read; not names of options that only concern generated code."""
    kind = type(field)
    return {
        "number": field.number,
        "type": kind.Type.Name(field.type)[len("TYPE_") :].lower(),
        "of": field.type_name.lstrip(".").replace(OURS, THEIRS, 1),
        "label": kind.Label.Name(field.label)[len("LABEL_") :].lower(),
        "presence": presence_of(message, field),
        "packed": field.options.packed if field.options.HasField("packed") else "by default",
        "default": field.default_value,
    }


def compare(ours, theirs):
    """(differences, counts) of two (messages, enums)."""
    differences = []
    counts = {"messages": 0, "fields": 0, "enums": 0}
    for name, message in ours[0].items():
        official = theirs[0].get(name.replace(OURS, THEIRS, 1))
        if official is None:
            differences.append(f"{name}: the published files have no such message")
            continue
        counts["messages"] += 1
        if message.options.map_entry != official.options.map_entry:
            differences.append(f"{name}: a map's entry on one side only")
        published = {f.name: f for f in official.field}
        for field in message.field:
            if field.name not in published:
                differences.append(f"{name}.{field.name}: the published message has no such field")
                continue
            counts["fields"] += 1
            mine, its = features_of(message, field), features_of(official, published[field.name])
            for what in mine:
                if mine[what] != its[what]:
                    differences.append(f"{name}.{field.name}: {what} is {mine[what]}, published {its[what]}")
    for name, enum in ours[1].items():
        official = theirs[1].get(name.replace(OURS, THEIRS, 1))
        if official is None:
            differences.append(f"{name}: the published files have no such enum")
            continue
        counts["enums"] += 1
        published = {v.name: v.number for v in official.value}
        for value in enum.value:
            if published.get(value.name) != value.number:
                differences.append(
                    f"{name}.{value.name}: is {value.number}, published {published.get(value.name, 'nothing')}"
                )
    return differences, counts


def check_the_checker(descriptor_pb2, files, theirs):
    """Damages our descriptors in memory, each field in each way, and expects every damage to be found."""
    kind = descriptor_pb2.FieldDescriptorProto

    def presence(field):
        field.proto3_optional = not field.proto3_optional

    def damage(what, change):
        damaged = descriptor_pb2.FileDescriptorSet()
        damaged.CopyFrom(files)
        messages = types_of(damaged, OURS)
        for name, message in messages[0].items():
            for field in message.field:
                before = kind()
                before.CopyFrom(field)
                change(field)
                found, _ = compare(({name: message}, {}), theirs)
                if len(found) != 1 or not found[0].startswith(f"{name}.") or what not in found[0]:
                    sys.exit(f"the checker is broken: {what} of {name}.{before.name} changed, found {found}")
                field.CopyFrom(before)

    damage("number is", lambda field: setattr(field, "number", field.number + 1000))
    damage("type is", lambda field: setattr(field, "type", kind.TYPE_SFIXED64))
    damage("label is", lambda field: setattr(field, "label", kind.LABEL_REQUIRED))
    damage("presence is", presence)
    damage("no such field", lambda field: setattr(field, "name", field.name + "_x"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protos", type=pathlib.Path, required=True, help="our folder, the one above rangeio/proto")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="a folder that is never committed")
    parser.add_argument("--protoc", default="protoc")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)

    descriptor_pb2 = import_protobuf(arguments.cache)
    published = published_protos(arguments.cache)
    our_set = descriptors(
        descriptor_pb2,
        arguments.protoc,
        arguments.protos,
        [f"rangeio/proto/{f}" for f in OUR_FILES],
        arguments.cache / "ours.bin",
    )
    their_set = descriptors(
        descriptor_pb2, arguments.protoc, published, THEIR_FILES, arguments.cache / "theirs.bin"
    )
    theirs = types_of(their_set, THEIRS)
    differences, counts = compare(types_of(our_set, OURS), theirs)
    for difference in differences:
        print(difference)
    print(
        f"compared {counts['messages']} messages, {counts['fields']} fields and {counts['enums']} enums "
        f"with {PACKAGE} {VERSION}: {len(differences)} differences"
    )
    if counts["fields"] == 0:
        sys.exit("nothing was compared")
    if not differences:
        check_the_checker(descriptor_pb2, our_set, theirs)
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
