"""Passwords: what is accepted as one, and how it is kept.  [shell: threads]

Kept as argon2id (RFC 9106) with OWASP's parameters of least memory; at most two are reckoned at a time, so that a bell at which everybody
signs in costs 38 MiB and no more. Whether a login is known does not show in how long ``verify`` takes. What is accepted follows NIST
SP 800-63B: length counts, the commonest are refused, nobody is made to mix letters and signs.
"""

import asyncio
import base64
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from filters.message import Message

SHORTEST, LONGEST = 10, 256
"""characters"""
MEMORY_KIB = 19 * 1024
AT_ONCE = 2

_HASHER = PasswordHasher(time_cost=2, memory_cost=MEMORY_KIB, parallelism=1)
_THREADS = ThreadPoolExecutor(AT_ONCE, "argon2")

_COMMON = frozenset(
    """
    1234567890 0123456789 0987654321 9876543210 12345678910 123456789a a123456789 1234567891 123456789abc abc123456789 abcd123456
    1q2w3e4r5t 1qaz2wsx3edc q1w2e3r4t5 qwertyuiop qwerty12345 qwerty1234 qwerty123456 qwertyuiop123 asdfghjkl1 asdfghjkl123 1111111111
    0000000000 9999999999 8888888888 6666666666 1122334455 1112223334 112233445566 123123123123 1231231231 abcabcabcabc aaaaaaaaaa
    password12 password123 password1234 passw0rd123 passwordpassword adminadmin administrator admin12345 admin123456 welcome123
    iloveyou12 iloveyou123 iloveyou1234 letmein123 changeme123 football123 superman123 princess123 sunshine123 computer123
    matkhau123 matkhau1234 matkhau12345 matkhaucuatoi matkhaumoi matkhaumoi123 khongcomatkhau khongbiet123 khongcopass
    anhyeuem123 anhyeuem1234 emyeuanh123 yeuemnhieu yeuanhnhieu yeuemmaimai toiyeuvietnam vietnam123 vietnam1234 vietnam12345
    vietnamvodich hanoi12345 saigon12345 xinchao123 giaovien123 giaovien1234 giaovien12345 hocsinh123 hocsinh1234 hocsinh12345
    truonghoc123 nhatruong123 hieutruong123 quantri123 quantri1234 thcs123456 thpt123456 thptquocgia thaygiao123 cogiao12345
    truonghoc1234 cogiaothao thaycovahoctro giaoduc123 giaoduc1234 bogiaoduc123 manglanh123 manglanh1234 conmeocon1 dmcsvietnam
    congchua123 hoangtu123 nguyen1234 nguyen12345 nguyenvana nguyenvana123 tranvan123 thanhcong123 hanhphuc123 maiyeuem123
    """.split()  # noqa: SIM905 - a list to be read
)


def normalised(password: str) -> str:
    """As it is kept and compared (NFC): one keyboard writes ``ế`` as one character, another as three."""
    return unicodedata.normalize("NFC", password)


def wrong(password: str, login: str = "", school: str = "") -> Message | None:
    """What is wrong with a new password, or None. ``login`` and ``school``: whose it will be."""
    password = normalised(password)
    if len(password) < SHORTEST:
        return Message(
            "Please take at least {count} characters. Three or four words that belong together only for you are good.", count=SHORTEST
        )
    if len(password) > LONGEST:
        return Message("This is too long: at most {limit} characters.", limit=LONGEST)
    plain = _plain(password)
    guessable = _COMMON | {_plain(login), _plain(login.partition("@")[0]), _plain(school)} - {""}
    if plain in guessable or len(set(plain)) <= 2 or any(_is_padded(plain, word) for word in (_plain(login), _plain(school))):
        return Message("This is one of the first passwords that anybody would try. Please think of another.")
    return None


def _plain(text: str) -> str:
    """Without accents, capitals and blanks: ``Mật khẩu 123`` is ``matkhau123``."""
    letters = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter) and not letter.isspace())


def _is_padded(password: str, word: str) -> bool:
    """A login or the school's name with nothing but a few digits or signs around it."""
    return len(word) >= 4 and word in password and not re.search(r"[^\W\d_]", password.replace(word, ""))


def needs_rehash(kept: str) -> bool:
    """Whether it was kept with other parameters than today's; then whoever has just verified it keeps it anew."""
    return _HASHER.check_needs_rehash(kept)


async def hash_password(password: str) -> str:
    """What the store keeps."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _HASHER.hash, normalised(password))


async def verify(kept: str | None, password: str) -> bool:
    """Whether it is this password. ``kept`` None (no such login, no password): it is not, which takes as long to say."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _verify, kept, normalised(password)[: LONGEST + 1])


def _verify(kept: str | None, password: str) -> bool:
    try:
        return _HASHER.verify(kept or _NOBODYS, password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def _nobodys() -> str:
    """A hash with today's parameters that no password has, but by 2**-256."""
    salt, key = (base64.b64encode(bytes(length)).rstrip(b"=").decode() for length in (_HASHER.salt_len, _HASHER.hash_len))
    return f"$argon2id$v=19$m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}${salt}${key}"


_NOBODYS = _nobodys()
