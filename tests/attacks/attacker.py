"""What an attacker does to a province's repository: signs with keys of their own or with stolen ones, and shuffles files."""

from datetime import datetime

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Signed, Snapshot, TargetFile, Targets, Timestamp

from blocklists.entries import format_entries
from tests.province import Province, entry

EVIL = "victim.example"
"""what the attacker wants blocked everywhere"""
UNTOUCHED = {"bad.example": "unlawful", "hoc.example": "learning", "casino.example": "gambling", "adult.example": "adult"}
"""what a school serves that has tests.province.good and nothing of the attacker's"""


def own_key() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()


def block_evil(province: Province) -> Province:
    """The channel whose word nobody in a school can lift says what the attacker wants; not published yet."""
    return province.say("mandatory", entry("bad.example"), entry(EVIL, document="9/QĐ"))


def publish_signed_by(province: Province, role: str, *signers: CryptoSigner) -> None:
    """The next version of ``role`` by ``signers`` alone; all else is properly signed, as if the attacker had the machine that publishes."""
    province.signers[role] = list(signers)
    if role == "root":
        province._root_signers = []
    {"snapshot": province.publish_snapshot, "timestamp": province.publish_timestamp}.get(role, lambda: province.publish(role))()


def put_metadata(province: Province, name: str, signed: Signed, *signers: CryptoSigner) -> None:
    """A metadata file under ``name`` in the repository, signed by ``signers``."""
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    province.spoil(f"metadata/{name}", metadata.to_bytes())


def timestamp(province: Province, version: int, snapshot: int) -> None:
    """A timestamp of the attacker's choice, properly signed: its key was stolen."""
    signed = Timestamp(version, expires=_expires(province), snapshot_meta=MetaFile(snapshot))
    put_metadata(province, "timestamp.json", signed, *province.signers["timestamp"])


def snapshot(province: Province, version: int, **roles: int) -> None:
    """The same for a snapshot; ``roles`` have other versions than the true ones."""
    versions = {role: province.versions[role] for role in ("targets", "mandatory", "categories", "learning", "province")} | roles
    signed = Snapshot(version, expires=_expires(province), meta={f"{role}.json": MetaFile(number) for role, number in versions.items()})
    put_metadata(province, f"{version}.snapshot.json", signed, *province.signers["snapshot"])


def targets_naming_evil(province: Province, version: int) -> Targets:
    """A role's metadata that names a mandatory list with EVIL in it; the list lies where a client will look for it."""
    data = format_entries([entry(EVIL, document="9/QĐ")])
    target = TargetFile.from_data("mandatory/list.csv", data, ["sha256"])
    province.spoil(f"targets/mandatory/{target.hashes['sha256']}.list.csv", data)
    return Targets(version, expires=_expires(province), targets={target.path: target})


def _expires(province: Province) -> datetime:
    return province.read("timestamp").signed.expires
