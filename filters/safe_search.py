"""Which names a search engine's safe mode, and YouTube's restricted mode, rewrite to what.

Promises: ``rewrite`` is one dictionary lookup and total; names are matched exactly, never by subtree, so that a mail or
map host of the same company is left alone. Refuses to say anything of query types: the caller rewrites A and AAAA
(CNAME to the target plus the target's addresses) and answers NODATA to HTTPS and SVCB, or the browser would go round it.

Google (about 190 country names): only ``www.`` is rewritten, as Google's instructions for network administrators say
(support.google.com/websearch/answer/186669). The bare ``google.com`` answers nothing but a redirect to ``www``, and is
asked for by connectivity checks that must not break. The country names are those of www.google.com/supported_domains and
those that Google used before and still redirects from.

``UNSAFE_ENGINES`` are engines, and side doors of engines, that no DNS answer can put in a safe mode. They are blocked with
everything below them where a tier has safe search on. Cốc Cốc serves its search as a path, ``coccoc.com/search``, on the
host that also serves its home page: DNS sees only the host, so all of ``coccoc.com`` is blocked but the names in
``STILL_NEEDED``, by which the browser gets its security updates. A school that wants the search opens ``coccoc.com`` with
a rule of its own and filters the path in the proxy.
"""

from collections.abc import Iterable

from filters.name import parents

_GOOGLE = "forcesafesearch.google.com"

# The last labels of Google's search names, by the shape of the country's registry.
_GOOGLE_PLAIN = (
    "com cat ac ad ae al am as at az ba be bf bg bi bj bs bt by ca cc cd cf cg ch ci cl cm cn co cv cz de dj dk dm dz ee es"
    " fi fm fr ga ge gf gg gl gm gp gr gy hn hr ht hu ie im io iq is it je jo kg ki kz la li lk lt lu lv md me mg mk ml mn ms"
    " mu mv mw ne nl no nr nu pl pn ps pt ro rs ru rw sc se sh si sk sm sn so sr st td tg tk tl tm tn to tt vg vn vu ws"
)
_GOOGLE_COM = (
    "af ag ai ar au bd bh bn bo br by bz co cu cy do ec eg et fj gh gi gt hk jm kh kw lb lc lv ly mm mt mx my na nf ng ni np om"
    " pa pe pg ph pk pr py qa sa sb sg sl sv tj tr tw ua uy vc vn"
)
_GOOGLE_CO = "ao bw ck cr gg hu id il im in je jp ke kr ls ma mz nz th tz ug uk uz ve vi za zm zw"

GOOGLE_NAMES: tuple[str, ...] = (
    *(f"www.google.{tld}" for tld in _GOOGLE_PLAIN.split()),
    *(f"www.google.com.{tld}" for tld in _GOOGLE_COM.split()),
    *(f"www.google.co.{tld}" for tld in _GOOGLE_CO.split()),
)

_YANDEX = (
    "yandex.az yandex.by yandex.co.il yandex.com yandex.com.am yandex.com.ge yandex.com.tr yandex.ee yandex.eu yandex.fr"
    " yandex.kz yandex.lt yandex.lv yandex.md yandex.ru yandex.tj yandex.tm yandex.uz ya.ru"
)


def _with_www(names: str) -> tuple[str, ...]:
    return tuple(form for name in names.split() for form in (name, f"www.{name}"))


_ENGINES: tuple[tuple[str, str, Iterable[str]], ...] = (
    ("google", _GOOGLE, GOOGLE_NAMES),
    # Microsoft's "Block adult content with SafeSearch": CNAME to strict.bing.com. The apex redirects to www.
    ("bing", "strict.bing.com", ("www.bing.com", "edgeservices.bing.com")),
    # duckduckgo.com/duckduckgo-help-pages/features/safe-search: its own safe name serves the same pages.
    # noai is a front page of the same search since 2026; that the safe name answers for it is unverified live.
    ("duckduckgo", "safe.duckduckgo.com", (*_with_www("duckduckgo.com"), "start.duckduckgo.com", "noai.duckduckgo.com")),
    # Yandex documents family search by address (213.180.193.56), which is what familysearch.yandex.ru resolves to:
    # sources give either; unverified live. A name follows the address when it moves.
    ("yandex", "familysearch.yandex.ru", _with_www(_YANDEX)),
    # Pixabay's own name for schools; AdGuard and Pi-hole use the same.
    ("pixabay", "safesearch.pixabay.com", _with_www("pixabay.com")),
    # ecosia.helpscoutdocs.com, "Does Ecosia have Safe Search": only www serves search.
    ("ecosia", "strict-safe-search.ecosia.org", ("www.ecosia.org",)),
    # Brave's help for administrators names forcesafe.search.brave.com; older rule sets have safesearch.brave.com or
    # safe.search.brave.com, which are of Brave too. Unverified live.
    ("brave", "forcesafe.search.brave.com", ("search.brave.com",)),
    # Qwant's results come from its API host, so that is what is rewritten; no official page found. Unverified live.
    ("qwant", "safeapi.qwant.com", ("api.qwant.com",)),
    # Named by Startpage's support and several rule sets, not by its public help. Unverified live.
    ("startpage", "safe.startpage.com", _with_www("startpage.com")),
)

_SEARCH: dict[str, tuple[str, str]] = {name: (engine, target) for engine, target, names in _ENGINES for name in names}

# support.google.com/a/answer/6214622: exactly these five names.
YOUTUBE_NAMES: tuple[str, ...] = (
    "www.youtube.com",
    "m.youtube.com",
    "youtubei.googleapis.com",
    "youtube.googleapis.com",
    "www.youtube-nocookie.com",
)
_YOUTUBE_TARGETS = {"moderate": "restrictmoderate.youtube.com", "strict": "restrict.youtube.com"}


def _table(youtube: str, safe_search: bool) -> dict[str, tuple[str, str]]:
    table = dict(_SEARCH) if safe_search else {}
    target = _YOUTUBE_TARGETS.get(youtube)
    if target is not None:
        table.update(dict.fromkeys(YOUTUBE_NAMES, ("youtube", target)))
    return table


_TABLES = {(youtube, safe): _table(youtube, safe) for youtube in ("off", "moderate", "strict") for safe in (False, True)}

ENGINES: tuple[str, ...] = (*(engine for engine, _, _ in _ENGINES), "youtube")
TARGETS: frozenset[str] = frozenset(target for _, target, _ in _ENGINES) | frozenset(_YOUTUBE_TARGETS.values())


def rewrite(name: str, youtube: str, safe_search: bool) -> tuple[str, str] | None:
    """``(engine, target)`` where ``name`` is answered with another name, else None.

    ``youtube`` is ``off``, ``moderate`` or ``strict`` (policies.model.YouTube is one of these strings) and does not
    depend on ``safe_search``. Raises KeyError for another level: that is a bug of the caller, not of a user.
    """
    return _TABLES[youtube, safe_search].get(name)


def rewritten_names(youtube: str, safe_search: bool) -> frozenset[str]:
    """The names for which ``rewrite`` gives something."""
    return frozenset(_TABLES[youtube, safe_search])


_UNSAFE = """
    coccoc.com

    html.duckduckgo.com lite.duckduckgo.com

    search.yahoo.com search.yahoo.co.jp
    search.aol.com search.aol.co.uk search.aol.ca suche.aol.de recherche.aol.fr
    ask.com dogpile.com webcrawler.com metacrawler.com search.com info.com hotbot.com
    search.lycos.com zapmeta.com izito.com lukol.com
    alltheinternet.com entireweb.com gigablast.com gibiru.com yippy.com

    www.baidu.com m.baidu.com image.baidu.com sogou.com so.com m.sm.cn search.naver.com search.daum.net
    search.seznam.cz go.mail.ru nova.rambler.ru

    mojeek.com mojeek.co.uk metager.org metager.de metager3.de presearch.com presearch.org yep.com you.com kagi.com
    andisearch.com stract.com mwmbl.org search.marginalia.nu marginalia-search.com peekier.com
    searchencrypt.com oscobo.com runnaroo.com givero.com lilo.org ekoru.org ahmia.fi petalsearch.com freespoke.com
    search.disroot.org

    searx.space searx.be searx.me searx.info searx.org searx.tiekoetter.com searxng.org
    paulgo.io search.sapti.me search.ononoki.org baresearch.org priv.au opnxng.com
"""

UNSAFE_ENGINES: frozenset[str] = frozenset(_UNSAFE.split())
"""Hand-made. Each name covers everything below it (``search.yahoo.com`` covers ``vn.search.yahoo.com``)."""

STILL_NEEDED: frozenset[str] = frozenset({"update.coccoc.com"})
"""Below an unsafe engine, and no search: never blocked as one. Each covers everything below it."""


def unsafe_engine(name: str) -> str | None:
    """The name in UNSAFE_ENGINES that covers ``name``, or None; ``vn.search.yahoo.com`` -> ``search.yahoo.com``."""
    for suffix in parents(name):
        if suffix in STILL_NEEDED:
            return None
        if suffix in UNSAFE_ENGINES:
            return suffix
    return None
