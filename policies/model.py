"""The school's file and the live state as frozen types. Unknown keys are refused; nothing here reads a file.

The raw YAML has only strings (policies/load.py reads it as BaseLoader does, so that ``13:30`` and ``no`` stay what was
written); pydantic turns them into the types below. Instants are Unix seconds (UTC, float); local times of day exist only
in the timetable. What a school *changes* about a tier or a mode (``TierChange``, ``ModeChange``) and what results
(``Tier``, ``Mode``, by policies/tiers.py) are two types, so that nothing downstream meets a half-filled one.
"""

from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from policies.fields import (
    Address,
    Blockable,
    CategoryId,
    Client,
    ClockText,
    DatesText,
    Decision,
    HttpPath,
    Identifier,
    Instant,
    Liftable,
    ListenText,
    Mac,
    Name,
    Network,
    NotEmpty,
    ProxyUrl,
    RangeText,
    SecondaryText,
    Seconds,
    TimeZone,
    UpstreamText,
    WebUrl,
    Workers,
)


class Frozen(BaseModel):
    """The base of every model here: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BlockAnswer(StrEnum):
    """What a blocked name answers (RFC 8914 errors come with each of them)."""

    NXDOMAIN = "nxdomain"
    NODATA = "nodata"
    NULL = "null"
    """0.0.0.0 and ::"""
    REFUSED = "refused"
    PAGE = "page"
    """the addresses of ``dns.block_page``"""


class YouTube(StrEnum):
    OFF = "off"
    MODERATE = "moderate"
    STRICT = "strict"


class Titles(Frozen):
    vi: str
    en: str


def _titles(value: object) -> object:
    """A school that writes one title means it in every language."""
    return {"vi": value, "en": value} if isinstance(value, str) else value


TitlesOrText = Annotated[Titles, BeforeValidator(_titles)]


class Tier(Frozen):
    """An age tier: category -> allow | block, and how allowed names are enforced."""

    title: Titles
    categories: dict[CategoryId, Decision] = {}
    """a category that is not named is allowed, unless ``default`` is ``block``; a locked one is always blocked"""
    default: Decision = "allow"
    services: tuple[str, ...] = ()
    """ids of blocked services (filters/service.py)"""
    liftable: tuple[Liftable, ...] = ()
    """categories that a teacher may lift for a lesson"""
    safe_search: bool = True
    youtube: YouTube = YouTube.STRICT
    strip_ech: bool = True
    ttl_limit: Seconds = 60
    """no answer is remembered longer than this by a device, so that a switch is felt soon"""
    block_answer: BlockAnswer | None = None
    """None: the school's ``dns.block_answer``"""


class TierChange(Frozen):
    """What ``tiers.<id>`` says: the fields of Tier that differ, or a tier of the school's own."""

    based_on: str | None = None
    """for a tier of one's own: the built-in tier (as the school changed it) that gives what is not said here"""
    title: TitlesOrText | None = None
    categories: dict[CategoryId, Decision] = {}
    """merged key by key; every other field replaces"""
    default: Decision | None = None
    services: tuple[str, ...] | None = None
    liftable: tuple[Liftable, ...] | None = None
    safe_search: bool | None = None
    youtube: YouTube | None = None
    strip_ech: bool | None = None
    ttl_limit: Seconds | None = None
    block_answer: BlockAnswer | None = None


class Mode(Frozen):
    """What a class does now. A mode is data; a school can define its own."""

    title: Titles
    only: Literal["everything", "sites", "nothing"] = "everything"
    """``sites``: rung 3 blocks what is not on the list of the mode or of the override; ``nothing``: all but ``help``"""
    sites: tuple[Name, ...] = ()
    blocks: tuple[Blockable, ...] = ()
    allows: tuple[Liftable, ...] = ()
    """categories of the tier that this mode opens (a locked one never)"""


class ModeChange(Frozen):
    """What ``modes.<id>`` says: the fields of Mode that differ, or a mode of the school's own."""

    title: TitlesOrText | None = None
    only: Literal["everything", "sites", "nothing"] | None = None
    sites: tuple[Name, ...] | None = None
    blocks: tuple[Blockable, ...] | None = None
    allows: tuple[Liftable, ...] | None = None


class Group(Frozen):
    name: Identifier
    title: str = ""
    tier: str
    clients: tuple[Client, ...] = ()
    break_allows: tuple[Liftable, ...] = ()
    """what this group's ``break`` opens besides the mode's own ``allows``"""
    services: tuple[str, ...] = ()
    """ids of services that are blocked for this group besides those of its tier (filters/service.py)"""


class LocalRule(Frozen):
    """IT staff's own block or allow (rungs 5 and 6): the name and everything below it."""

    action: Literal["block", "allow"]
    name: Name
    groups: tuple[str, ...] = ()
    """empty: every group"""
    by: str = ""
    reason: str = ""
    until: Instant | None = None
    """Unix seconds; in the school's file also a date and time with its offset"""


class Override(Frozen):
    """A group is in a mode until a stated time, by a named person; it always ends by itself."""

    group: str
    mode: str
    since: Instant
    until: Instant
    by: str
    reason: str = ""
    sites: tuple[Name, ...] = ()


class Unblock(Frozen):
    """A teacher's lesson unblock (rung 4)."""

    group: str
    name: Name
    since: Instant
    until: Instant
    by: str
    reason: str = ""


class State(Frozen):
    """``state.json``: what people changed while the school runs. Written whole, renamed into place."""

    generation: int = 0
    written_at: Instant = 0.0
    overrides: tuple[Override, ...] = ()
    unblocks: tuple[Unblock, ...] = ()
    rules: tuple[LocalRule, ...] = ()
    devices: dict[Mac, str] = {}
    """MAC -> group"""


class School(Frozen):
    name: str
    timezone: TimeZone = "Asia/Ho_Chi_Minh"
    language: Literal["vi", "en"] = "vi"
    contact: str = ""
    """whom a pupil asks; shown with every block"""
    counsellor: str = ""
    """the school's counsellor, a name and how to reach them; shown on the block page"""
    notice: TitlesOrText | None = None
    """what the school says to its pupils on the block page"""
    province: Path | None = None


class Limits(Frozen):
    """Bounds that keep one client, or one mistake, from taking the box down. Each has a test that reaches it."""

    queries_per_second: Annotated[int, Field(ge=1)] = 500
    """per client address; a whole lab behind one address needs more"""
    burst: Annotated[int, Field(ge=1)] = 2000
    tcp_connections: Annotated[int, Field(ge=1)] = 256
    """per worker"""
    tcp_per_client: Annotated[int, Field(ge=1)] = 16
    pending: Annotated[int, Field(ge=1)] = 4096
    """questions under way to upstreams, per worker"""


class Cache(Frozen):
    bytes: Annotated[int, Field(ge=65536)] = 8 * 1024 * 1024
    """per worker, for upstream answers; ready-made answers have as much again"""
    min_ttl: Seconds = 0
    max_ttl: Seconds = 86400
    max_negative_ttl: Seconds = 900
    """RFC 2308 section 5"""
    stale: Seconds = 86400
    """RFC 8767: how long after its end an answer may serve while no upstream answers; 0 turns it off"""


class Tls(Frozen):
    """Serving DNS over TLS (RFC 7858) and over HTTPS (RFC 8484), and saying so to clients that ask (RFC 9462)."""

    listen: tuple[ListenText, ...] = ("0.0.0.0:853", "[::]:853")
    https_listen: tuple[ListenText, ...] = ()
    """none: DNS over HTTPS is not served; port 443 is left to the block page unless the school says otherwise"""
    path: HttpPath = "/dns-query"
    """where DNS over HTTPS is served"""
    certificate: Path
    key: Path


_LOCAL_NETWORKS = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10")


class Dns(Frozen):
    listen: tuple[ListenText, ...] = ("0.0.0.0:53", "[::]:53")
    workers: Workers = "auto"
    upstreams: Annotated[tuple[UpstreamText, ...], NotEmpty]
    forward: dict[Name, Annotated[tuple[UpstreamText, ...], NotEmpty]] = {}
    """conditional forwarding: a subtree and its own upstreams"""
    allow_from: tuple[Network, ...] = tuple(ip_network(network) for network in _LOCAL_NETWORKS)
    hostname: Name = "manglanh.home.arpa"
    """the box's own name"""
    local: dict[Name, Annotated[tuple[Address, ...], NotEmpty]] = {}
    """local records; their PTR records come with them"""
    private_names: tuple[Name, ...] = ()
    """public names that may answer with private addresses (rebinding protection, exceptions)"""
    block_answer: BlockAnswer = BlockAnswer.NXDOMAIN
    block_page: tuple[Address, ...] = ()
    block_ttl: Seconds = 10
    tls: Tls | None = None
    limits: Limits = Limits()
    cache: Cache = Cache()


class Lists(Frozen):
    """Where the lists are and how they come: from the publisher that the province's file names, or compiled here at night."""

    directory: Path = Path("/var/lib/manglanh/lists")
    poll: Annotated[int, Field(ge=1, le=86400)] = 60
    """seconds between two questions to the publisher whether something is new (some jitter is added)"""
    ca: Path | None = None
    """the certificates (PEM) that an https publisher is checked against; None: the well-known ones"""
    proxy: ProxyUrl | None = None
    """the HTTP proxy through which lists are fetched; None: as the environment says (HTTPS_PROXY), directly under systemd"""
    sources: Path | None = None
    """sources.yaml of a box without a publisher; None: the one that comes with the program"""
    compile_at: ClockText = "02:30"
    """local time at which a box without a publisher compiles its lists"""


class TransferKey(Frozen):
    """The key that signs zone transfers and NOTIFY (TSIG, RFC 8945)."""

    name: Name
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    secret_file: Path
    """a file with nothing but the secret in Base64, which policies/transfer_secret.py reads"""


class Zone(Frozen):
    """What one tier blocks, as a response policy zone for another resolver."""

    name: Name
    tier: str
    secondaries: tuple[SecondaryText, ...] = ()
    """who may transfer the zone and is told of a change: addresses, with a port for NOTIFY if it is not 53"""
    sign: bool = True
    """whether a transfer must be signed with ``zones.key``; False: the secondary's address is all that is checked"""


class Zones(Frozen):
    """Serving RPZ over AXFR and IXFR (RFC 5936, RFC 1995) to BIND or Unbound. Without ``listen`` nothing is served."""

    listen: tuple[ListenText, ...] = ()
    key: TransferKey | None = None
    zones: tuple[Zone, ...] = ()


class TimetableRule(Frozen):
    """``mode`` for ``groups`` on ``days``, during named ``lessons`` or ``at`` a range; the first rule that matches wins."""

    mode: str
    groups: tuple[str, ...] = ()
    """empty: every group"""
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ("mon", "tue", "wed", "thu", "fri", "sat")
    lessons: tuple[str, ...] = ()
    at: tuple[RangeText, ...] = ()
    """ranges such as ``11:30-13:00``; one that crosses midnight belongs to the day on which it starts"""
    sites: tuple[Name, ...] = ()
    holidays: bool = False
    """True: on holidays too"""

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if not self.lessons and not self.at:
            raise ValueError("says neither lessons nor at: when does it hold?")
        return self


class Timetable(Frozen):
    lessons: dict[str, RangeText] = {}
    """name -> range, for example ``"1": 07:00-07:45``; a school with 35 and 45 minute lessons names both"""
    rules: tuple[TimetableRule, ...] = ()
    holidays: tuple[DatesText, ...] = ()
    """dates, or ranges such as ``2027-02-15..2027-02-21``, both ends included"""


class Certificate(Frozen):
    """PEM files."""

    certificate: Path
    key: Path


class SignIn(Frozen):
    """Signing in with the school's Google Workspace or Microsoft 365 (OpenID Connect). Accounts are made by IT staff, not by signing in."""

    title: str = ""
    """what the button says, for example ``Google``"""
    issuer: WebUrl
    """https://accounts.google.com, https://login.microsoftonline.com/TENANT/v2.0"""
    client_id: str
    client_secret_file: Path
    """a file with nothing but the secret"""
    domains: tuple[str, ...] = ()
    """domains of e-mail addresses that are let in; empty: any whose address an account has"""


class Mail(Frozen):
    """How the box sends mail: reports to the province, where the province takes them so."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str
    username: str = ""
    password_file: Path | None = None
    """a file with nothing but the password"""


class Dashboard(Frozen):
    """The web pages for staff. Without ``tls`` they are plain HTTP, for a network of which the school is sure."""

    listen: ListenText = "0.0.0.0:8080"
    url: WebUrl | None = None
    """the address that people type, for links that are handed out; None: as the browser had it"""
    tls: Certificate | None = None
    store: str | None = None
    """``sqlite:////path/store.db`` or ``postgresql://user@host/name``; None: ``store.db`` beside the state file"""
    sign_in: SignIn | None = None
    mail: Mail | None = None
    leases: Path | None = None
    """the DHCP server's leases, for the names of devices; None: dnsmasq's in its usual places"""


class BlockPage(Frozen):
    """The page that blocked names lead to, where the block answer is ``page``. Without ``listen`` nothing is served."""

    listen: tuple[ListenText, ...] = ()
    https_listen: tuple[ListenText, ...] = ()
    ca: Path | None = None
    """the school's own certificate authority (key and certificate in one PEM file, as mitmproxy makes it), for HTTPS"""


class SchoolFile(Frozen):
    """The whole of ``school.yaml``. Only ``school.name``, ``dns.upstreams`` and one group are required."""

    school: School
    dns: Dns
    lists: Lists = Lists()
    zones: Zones = Zones()
    state: Path = Path("/var/lib/manglanh/state.json")
    groups: Annotated[tuple[Group, ...], NotEmpty]
    default_group: str | None = None
    """the group of an address that no group names; None or ``guest`` where no group has that name: one of tier ``guest``"""
    tiers: dict[Identifier, TierChange] = {}
    """merged over the built-in ones (policies/tiers.py): a school changes a field or adds a tier"""
    modes: dict[Identifier, ModeChange] = {}
    rules: tuple[LocalRule, ...] = ()
    timetable: Timetable = Timetable()
    dashboard: Dashboard = Dashboard()
    block_page: BlockPage = BlockPage()
