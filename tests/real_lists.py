"""The real lists beside the checkout (``shared/lists``) as sources, for tests and benchmarks; none where they are absent.

Every UT1 folder and every other list is here: with the category that it serves, or with the reason why it serves none.
Run as a program it prints a sources.yaml.
"""

from pathlib import Path

import yaml

from blocklists.sources import ListSource

SHARED_LISTS = Path(__file__).resolve().parents[1] / ".." / "shared" / "lists"

UT1 = {
    "adult": "adult",
    "agressif": "hate",
    "ai": "ai",
    "arjel": "gambling",
    "audio-video": "video",
    "chat": "chat",
    "cryptojacking": "cryptojacking",
    "dangerous_material": "violence",
    "dating": "dating",
    "ddos": "malware",
    "doh": "bypass",
    "drogue": "drugs",
    "educational_games": "learning",
    "gambling": "gambling",
    "games": "games",
    "hacking": "malware",
    "malware": "malware",
    "marketingware": "ads",
    "mixed_adult": "adult",
    "phishing": "phishing",
    "publicite": "ads",
    "redirector": "bypass",
    "residential-proxies": "bypass",
    "sexual_education": "learning",
    "shopping": "shopping",
    "social_networks": "social",
    "stalkerware": "malware",
    "vpn": "bypass",
    "warez": "piracy",
}
"""UT1 folder -> category"""

UT1_UNUSED = {
    "associations_religieuses": "religion is nobody's to filter here",
    "astrology": "no category of ours",
    "bank": "a list of good sites, for other purposes",
    "bitcoin": "about currency, not mining on the quiet",
    "blog": "whole platforms (blogspot.com, wordpress.com)",
    "celebrity": "no category of ours",
    "child": "for children, but not for learning",
    "cleaning": "a list of good sites (updates, antivirus)",
    "cooking": "no category of ours",
    "dialer": "dial-up is gone, and what is left is not about it",
    "download": "software in general",
    "dynamic-dns": "everybody's hosts",
    "examen_pix": "made for one French examination",
    "exceptions_liste_bu": "made for one library",
    "fakenews": "opinions are not filtered",
    "filehosting": "Dropbox is not pirated content",
    "financial": "no category of ours",
    "forums": "general sites, facebook.com among them",
    "jobsearch": "no category of ours",
    "lingerie": "shops, neither adult nor for pupils",
    "liste_blanche": "French schools' own exceptions",
    "liste_bu": "one library's exceptions, doubleclick.net among them",
    "manga": "no category of ours",
    "mobile-phone": "no category of ours",
    "press": "newspapers are not filtered",
    "radio": "no category of ours",
    "reaffected": "seven names",
    "remote-control": "teachers use it",
    "sect": "religion is nobody's to filter here",
    "shortener": "what is behind a short link is filtered by its own name",
    "special": "one name",
    "sports": "no category of ours",
    "translation": "pupils learn with it",
    "tricheur": "made for one French examination",
    "tricheur_pix": "made for one French examination",
    "update": "a list of good sites",
    "webhosting": "everybody's sites",
    "webmail": "everybody's mail",
}
"""UT1 folder -> why nothing comes of it"""

BLOCKLISTPROJECT = {
    "crypto": "cryptojacking",
    "drugs": "drugs",
    "facebook": "social",
    "fortnite": "games",
    "phishing": "phishing",
    "piracy": "piracy",
    "ransomware": "malware",
    "redirect": "malware",
    "scam": "scam",
    "smart-tv": "tracking",
    "tiktok": "social",
    "torrent": "piracy",
    "tracking": "tracking",
    "twitter": "social",
    "vaping": "drugs",
    "whatsapp": "chat",
    "youtube": "video",
}
BLOCKLISTPROJECT_UNUSED = {
    "adobe": "keeps Adobe's programs from being checked: digicert.com and amazonaws.com among its names",
    "basic": "a mixture of several categories",
}

_HOSTSVN = {
    "ads": ("ads", ("domain.txt domains", "hosts hosts", "dnsmasq-hostsVN.conf dnsmasq")),
    "adult": ("adult", ("domain.txt domains", "domain-VN.txt domains", "hosts hosts", "filter.txt adblock")),
    "gambling": ("gambling", ("domain.txt domains", "domain-VN.txt domains", "hosts hosts", "filter.txt adblock")),
    "threat": ("malware", ("domain.txt domains", "domain-VN.txt domains", "hosts hosts", "filter.txt adblock")),
}
_LICENCES = {"ut1": "CC-BY-SA-4.0", "blocklistproject": "Unlicense", "hostsvn": "MIT"}


def sources(lists: Path = SHARED_LISTS) -> list[ListSource]:
    """Every usable list below ``lists``; empty where there is none."""
    found = [
        ListSource(f"ut1-{folder}", category, "ut1", _LICENCES["ut1"], lists / "ut1" / folder)
        for folder, category in UT1.items()
        if (lists / "ut1" / folder).is_dir()
    ]
    found += [
        ListSource(f"blp-{name}", category, "domains", _LICENCES["blocklistproject"], lists / "blocklistproject" / f"{name}-nl.txt")
        for name, category in BLOCKLISTPROJECT.items()
    ]
    for folder, (category, files) in _HOSTSVN.items():
        for file, list_format in (words.split() for words in files):
            path = lists / "hostsvn" / folder / file
            found.append(
                ListSource(f"hostsvn-{folder}-{path.stem.lower()}-{list_format}", category, list_format, _LICENCES["hostsvn"], path)
            )
    return [source for source in found if source.path and source.path.exists()]


def as_yaml(listed: list[ListSource]) -> str:
    entries = [
        {"name": source.name, "category": source.category, "format": source.format, "path": str(source.path), "licence": source.licence}
        for source in listed
    ]
    return yaml.safe_dump({"sources": entries}, sort_keys=False)


if __name__ == "__main__":
    print(as_yaml(sources()), end="")
