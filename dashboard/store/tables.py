"""The tables, in SQLAlchemy Core. SQLite by default, PostgreSQL by URL; Alembic's migrations build the same (a test compares them).

Instants are Unix seconds (UTC). Secrets are never here in the clear: passwords as argon2id, tokens of sessions, invitations and programs as
SHA-256 of 256 random bits. TOTP secrets must be known to be checked; whoever can read the store can read them (docs/security.md).
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)

_ID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up by itself only where the type is exactly INTEGER"""


def _id() -> Column[int]:
    return Column("id", _ID, primary_key=True, autoincrement=True)


def _person(name: str, *, nullable: bool = False, ondelete: str = "CASCADE") -> Column[int]:
    return Column(name, _ID, ForeignKey("people.id", ondelete=ondelete), nullable=nullable)


people = Table(
    "people",
    metadata,
    _id(),
    Column("login", String(64), nullable=False, unique=True),  # lower case; may be an e-mail address
    Column("name", String(200), nullable=False),
    Column("email", String(254), nullable=False, default="", index=True),
    Column("role", String(16), nullable=False),  # dashboard/access.py
    Column("language", String(2), nullable=False, default="vi"),
    Column("active", Boolean, nullable=False, default=True),
    Column("password", String(200)),  # argon2id; None: none was set yet
    Column("password_at", Float, nullable=False, default=0.0),
    Column("totp_secret", String(64)),  # None: not enrolled
    Column("totp_step", BigInteger, nullable=False, default=0),  # the last one used, which is not taken twice
    Column("created_at", Float, nullable=False),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    _person("person_id"),
    Column("code", String(64), nullable=False),  # SHA-256, hexadecimal
    UniqueConstraint("person_id", "code"),
)

assignments = Table(
    "assignments",
    metadata,
    _id(),
    _person("person_id"),
    Column("group_name", String(63), nullable=False),
    Column("since", Float),  # None: from ever
    Column("until", Float),  # None: without end; a substitute's has one
    Column("given_by", String(200), nullable=False, default=""),
    Index("ix_assignments_person_id", "person_id"),
    Index("ix_assignments_group_name", "group_name"),
)
"""whose class is whose: a teacher's own classes, and those that a substitute has for a day"""

sessions = Table(
    "sessions",
    metadata,
    _id(),
    Column("token", String(64), nullable=False, unique=True),  # SHA-256
    _person("person_id"),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("device", String(200), nullable=False, default=""),  # what the browser calls itself, in short
    Column("address", String(64), nullable=False, default=""),
    Index("ix_sessions_person_id", "person_id"),
)

invitations = Table(
    "invitations",
    metadata,
    _id(),
    Column("token", String(64), nullable=False, unique=True),
    _person("person_id"),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used_at", Float),
    Column("given_by", String(200), nullable=False, default=""),
)
"""one-time links with which a person sets a password"""

tokens = Table(
    "tokens",
    metadata,
    _id(),
    Column("token", String(64), nullable=False, unique=True),
    _person("person_id"),
    Column("name", String(100), nullable=False),
    Column("scopes", JSON, nullable=False),  # list of dashboard/access.py Scope values
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("used_at", Float),
)
"""programs' access to /api/v1, never wider than the person's own"""

site_sets = Table(
    "site_sets",
    metadata,
    _id(),
    Column("name", String(100), nullable=False),
    Column("sites", JSON, nullable=False),  # list of canonical names
    _person("owner_id", nullable=True),  # None: the school's, for everybody
    Index("ix_site_sets_owner_id", "owner_id"),
)
"""what an exam leaves open, saved under a name"""

requests = Table(
    "requests",
    metadata,
    _id(),
    Column("at", Float, nullable=False),
    Column("group_name", String(63), nullable=False),
    Column("name", String(253), nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("signed", String(100), nullable=False, default=""),  # what the pupil wrote as a name; no address is kept
    Column("category", String(32), nullable=False, default=""),
    Column("rung", Integer, nullable=False, default=0),
    Column("count", Integer, nullable=False, default=1),  # how often it was asked for while it was open
    Column("state", String(16), nullable=False, default="open"),  # open, granted, refused
    Column("answered_at", Float),
    Column("answered_by", String(200), nullable=False, default=""),
    Column("answer", Text, nullable=False, default=""),
    Index("ix_requests_group_name_state", "group_name", "state"),
    Index("ix_requests_at", "at"),
)

reports = Table(
    "reports",
    metadata,
    _id(),
    Column("number", String(16), nullable=False, unique=True),  # what the sender may quote
    Column("at", Float, nullable=False),
    Column("kind", String(16), nullable=False),  # harmful, fake, abuse, mistake
    Column("target", String(500), nullable=False),  # a name or an address on the web
    Column("note", Text, nullable=False, default=""),
    Column("signed", String(200), nullable=False, default=""),
    Column("group_name", String(63), nullable=False, default=""),
    Column("state", String(16), nullable=False, default="received"),  # received, collecting, verifying, coordinating
    Column("closed_at", Float),
    Index("ix_reports_state", "state"),
)

report_steps = Table(
    "report_steps",
    metadata,
    _id(),
    Column("report_id", _ID, ForeignKey("reports.id", ondelete="CASCADE"), nullable=False),
    Column("at", Float, nullable=False),
    Column("by", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("note", Text, nullable=False, default=""),
    Index("ix_report_steps_report_id", "report_id"),
)

outbox = Table(
    "outbox",
    metadata,
    _id(),
    Column("report_id", _ID, ForeignKey("reports.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(8), nullable=False),  # webhook, mail
    Column("target", String(500), nullable=False),
    Column("body", LargeBinary, nullable=False),  # the document, which is signed when it is sent
    Column("created_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", Float, nullable=False),
    Column("trouble", Text, nullable=False, default=""),
    Column("accepted_at", Float),
    Index("ix_outbox_next_at", "next_at"),
)
"""what must reach the province; a row is tried until it was accepted, and only then closed"""

audit = Table(
    "audit",
    metadata,
    _id(),
    Column("at", Float, nullable=False),
    Column("by", String(200), nullable=False),  # name and login; a deleted person's stays
    _person("person_id", nullable=True, ondelete="SET NULL"),
    Column("action", String(48), nullable=False),  # dashboard/audit_actions.py
    Column("object", String(300), nullable=False, default=""),
    Column("detail", JSON, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("outcome", String(16), nullable=False, default="done"),  # begun, done, failed
    Index("ix_audit_at", "at"),
    Index("ix_audit_action", "action"),
)

statistics = Table(
    "statistics",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),  # Unix seconds at which it began
    Column("group_name", String(63), primary_key=True),  # empty: the whole school
    Column("category", String(32), primary_key=True),
    Column("rung", String(32), primary_key=True),
    Column("verdict", String(8), primary_key=True),
    Column("domain", String(253), primary_key=True),  # registered domain of blocked names; empty otherwise
    Column("count", BigInteger, nullable=False),
    Column("devices", Integer, nullable=False),  # a lower bound of how many different ones asked
    Index("ix_statistics_group_name_hour", "group_name", "hour"),
    sqlite_with_rowid=False,
)
"""hour by hour, for two weeks (dashboard/store/statistics.py)"""

statistics_days = Table(
    "statistics_days",
    metadata,
    Column("group_name", String(63), primary_key=True),  # empty: the whole school
    Column("day", BigInteger, primary_key=True, autoincrement=False),  # Unix seconds at which it began at the school
    Column("category", String(32), primary_key=True),
    Column("rung", String(32), primary_key=True),
    Column("verdict", String(8), primary_key=True),
    Column("domain", String(253), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("devices", Integer, nullable=False),
    Index("ix_statistics_days_day", "day"),
    sqlite_with_rowid=False,
)
"""whole days, for more than a year; made from the hours when a day is over"""

folded_files = Table(
    "folded_files",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("at", Float, nullable=False),
)
"""the workers' files that are in the statistics already; forgotten after a day"""

device_labels = Table(
    "device_labels",
    metadata,
    Column("mac", String(17), primary_key=True),
    Column("label", String(200), nullable=False),
)
