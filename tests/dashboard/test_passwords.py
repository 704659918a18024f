"""What is accepted as a password, and how it is kept."""

import asyncio
import threading
import unicodedata
from statistics import median
from time import perf_counter

import pytest
from argon2 import PasswordHasher, extract_parameters

from dashboard.signing_in import passwords


@pytest.mark.parametrize(
    "password",
    [
        "con mèo trèo cây cau",
        "correct horse battery",
        "aB3$xyzq9!",
        "một hai ba bốn",
        "x" * 9 + "yzab",
        "co-lan dạy toán lớp sáu",
        "p" * 128 + "q" * 127 + "r",
    ],
)
def test_what_is_good(password):
    assert passwords.wrong(password, "co-lan", "Trường THCS Số 1") is None


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "at least 10"),
        ("chín ký tự"[:9], "at least 10"),
        ("e\u0302\u0301" * 5, "at least 10"),  # five characters, though fifteen code points
        ("abcdefghij" * 25 + "1234567", "at most 256"),
        ("1234567890", "first passwords"),
        ("matkhau123", "first passwords"),
        ("Mật khẩu 123", "first passwords"),
        ("AnhYeuEm123", "first passwords"),
        ("vietnam123", "first passwords"),
        ("GiaoVien123", "first passwords"),
        ("aaaaaaaaaaaa", "first passwords"),
        ("ababababababab", "first passwords"),
        ("nguyen.thi.lan", "first passwords"),
        ("Nguyen.Thi.Lan2027", "first passwords"),
        ("nguyen.thi.lan@truong.edu.vn", "first passwords"),
        ("Trường THCS Số 1", "first passwords"),
        ("truongthcsso1@2027", "first passwords"),
    ],
)
def test_what_is_refused(password, why):
    login = "nguyen.thi.lan@truong.edu.vn" if "@truong" in password else "nguyen.thi.lan"
    assert why in passwords.wrong(password, login, "Trường THCS Số 1")


def test_no_mixture_of_letters_and_signs_is_asked_for():
    assert passwords.wrong("chỉ toàn chữ thường thôi") is None


def test_kept_with_the_parameters_of_owasp():
    kept = asyncio.run(passwords.hash_password("con mèo trèo cây"))
    parameters = extract_parameters(kept)
    assert (parameters.type.name, parameters.memory_cost, parameters.time_cost, parameters.parallelism) == ("ID", 19 * 1024, 2, 1)
    assert not passwords.needs_rehash(kept)
    assert len(kept) <= 200  # the column's width


def test_however_the_keyboard_writes_an_accent():
    kept = asyncio.run(passwords.hash_password(unicodedata.normalize("NFD", "tiếng Việt có dấu")))
    assert asyncio.run(passwords.verify(kept, unicodedata.normalize("NFC", "tiếng Việt có dấu")))
    assert not asyncio.run(passwords.verify(kept, "tieng Viet co dau"))


def test_blanks_count():
    kept = asyncio.run(passwords.hash_password(" con mèo trèo "))
    assert not asyncio.run(passwords.verify(kept, "con mèo trèo"))


@pytest.mark.parametrize("kept", [None, "", "plain", "$argon2id$v=19$m=8,t=1,p=1$broken"])
def test_nobodys_password_is_never_right(kept):
    assert not asyncio.run(passwords.verify(kept, ""))
    assert not asyncio.run(passwords.verify(kept, "con mèo trèo"))


def test_other_parameters_are_kept_anew():
    assert passwords.needs_rehash(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("con mèo trèo"))


def test_an_unknown_login_takes_as_long():
    kept = asyncio.run(passwords.hash_password("con mèo trèo cây"))
    times = {None: [], kept: []}
    for _ in range(9):
        for which, taken in times.items():
            begin = perf_counter()
            assert not passwords._verify(which, "không phải")
            taken.append(perf_counter() - begin)
    ratio = median(times[None]) / median(times[kept])
    assert 0.5 < ratio < 2


def test_two_at_a_time(monkeypatch):
    """19 MiB each: a bell must not cost the box its memory."""
    lock, running, most = threading.Lock(), 0, 0
    third = threading.Event()

    class Counting:
        def verify(self, kept, password):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
                if running > passwords.AT_ONCE:
                    third.set()
            third.wait(0.02)
            with lock:
                running -= 1
            return True

    monkeypatch.setattr(passwords, "_HASHER", Counting())

    async def bell():
        await asyncio.gather(*(passwords.verify("kept", "con mèo trèo") for _ in range(12)))

    asyncio.run(bell())
    assert most == passwords.AT_ONCE
