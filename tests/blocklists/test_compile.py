"""From lists to a bundle: exceptions, subsumption, guards, the report, and the same bytes for the same input."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocklists.compile import CompileRefused, ListInput, compile_lists, compile_starter, previous_counts, read_path
from blocklists.guards import is_public_suffix
from blocklists.report import SourceReport, table
from blocklists.sources import TEST_SOURCE, ListSource
from filters.bundle import LABELS, MANIFEST, NAMES, RULES
from filters.category import CATEGORIES
from filters.critical import CRITICAL
from filters.domain_index import DomainIndex
from filters.name import is_within, normalise


def given_list(text: str | bytes, list_format="domains", category="adult", name="list", **more) -> ListInput:
    data = text.encode() if isinstance(text, str) else text
    file = "domains" if list_format == "ut1" else ""
    return ListInput(ListSource(name, category, list_format, "MIT", **more), lambda: {file: data})


def compiled(directory: Path, *inputs: ListInput, **options):
    """The opened bundle and, by name, the reports."""
    report = compile_lists(directory, inputs, **options)
    return DomainIndex.open(directory), {source.name: source for source in report.sources}


def rules(index, name, qtype=1):
    return [match.rule for match in index.lookup(name, qtype)]


def balance(report: SourceReport) -> int:
    return sum(getattr(report, count) for count in ("accepted", "duplicates", "subsumed", "lifted", "exceptions", "for_proxy", "rejected"))


@pytest.mark.parametrize(
    ("list_format", "text", "blocked", "open_names"),
    [
        ("domains", "q.com", ["q.com", "a.q.com"], ["y.com", "ax.com"]),
        ("domains", "*.q.com", ["a.q.com"], ["q.com"]),
        ("hosts", "0.0.0.0 q.com", ["q.com"], ["a.q.com"]),
        ("hosts", "0.0.0.0 blog.blogspot.com\n0.0.0.0 blogspot.com", ["blogspot.com", "blog.blogspot.com"], ["other.blogspot.com"]),
        ("adblock", "||q.com^", ["q.com", "a.q.com"], []),
        ("adblock", "|q.com|", ["q.com"], ["a.q.com"]),
        ("adblock", "||q.com^\n@@||a.q.com^", ["q.com", "b.q.com"], ["a.q.com", "c.a.q.com"]),
        ("adblock", "||q.com^\n@@||a.q.com^\n||b.a.q.com^", ["q.com"], ["a.q.com", "b.a.q.com"]),
        ("adblock", "||q.com^\n@@||a.q.com^\n||b.a.q.com^$important", ["q.com", "b.a.q.com", "c.b.a.q.com"], ["a.q.com"]),
        ("adblock", "||q.com^$important\n@@||a.q.com^", ["q.com", "a.q.com"], []),
        ("adblock", "||q.com^$important\n@@||a.q.com^$important", ["q.com"], ["a.q.com"]),
        ("adblock", "||q.com^\n@@||q.com^", [], ["q.com", "a.q.com"]),
        ("adblock", "||q.com^\n@@|q.com|", ["a.q.com"], ["q.com"]),
        ("adblock", "@@||q.com^\n||a.q.com^\n|b.q.com|", [], ["q.com", "a.q.com", "b.q.com"]),
        ("adblock", "||q.com^\n@@/^good/", ["q.com", "a.q.com"], ["good.q.com"]),
        ("adblock", "||q.com^$important\n@@/^good/", ["q.com", "good.q.com"], []),
        ("adblock", "||q.com^$denyallow=a.q.com", ["q.com", "b.q.com"], ["a.q.com", "c.a.q.com"]),
        ("adblock", "||q.com^$denyallow=a.q.com\n||b.a.q.com^", ["q.com", "b.a.q.com"], ["a.q.com"]),
        ("adblock", "||q.com^$dnstype=AAAA", [], ["q.com"]),
        ("adblock", "||q.com^\n||q.com^$badfilter", [], ["q.com"]),
        ("rpz", "q.com CNAME .\n*.q.com CNAME .\na.q.com CNAME rpz-passthru.", ["q.com", "b.q.com", "c.a.q.com"], ["a.q.com"]),
        ("rpz", "*.q.com CNAME .\n*.a.q.com CNAME rpz-passthru.\nb.a.q.com CNAME .", ["a.q.com", "b.a.q.com"], ["q.com", "c.a.q.com"]),
        ("dnsmasq", "local=/q.com/\nserver=/a.q.com/#\nlocal=/b.a.q.com/", ["q.com", "b.a.q.com"], ["a.q.com", "c.a.q.com"]),
        ("regex", r"^casino[0-9]+\.", ["casino7.example"], ["casino.example"]),
        ("ut1", "q.com", ["q.com", "a.q.com"], []),
    ],
)
def test_what_a_format_covers(tmp_path, list_format, text, blocked, open_names):
    padding = {"regex": "^never-there$", "hosts": "0.0.0.0 pad.example", "adblock": "||pad.example^", "dnsmasq": "local=/pad.example/"}
    index, _ = compiled(tmp_path, given_list(f"{text}\n{padding.get(list_format, '')}\n", list_format))
    assert {name for name in blocked if not index.lookup(name)} == set()
    assert {name for name in open_names if index.lookup(name)} == set()


def test_an_exception_of_one_list_does_not_lift_another_lists_block(tmp_path):
    index, _ = compiled(tmp_path, given_list("@@||q.com^\n||y.com^", "adblock", name="a"), given_list("q.com", name="b"))
    assert [match.source.name for match in index.lookup("q.com")] == ["b"]


@pytest.mark.parametrize(
    ("list_format", "text", "counts"),
    [
        ("domains", "q.com\nq.com\na.q.com\n*.q.com\n*.b.q.com\ny.com\nbad..com\n# comment\n", (7, 2, 1, 3, 0, 0, 0, 1)),
        ("adblock", "||q.com^\n||a.q.com^\n@@||b.q.com^\n||c.b.q.com^\n|q.com|\n||y.com^$popup\n", (6, 1, 0, 2, 1, 1, 0, 1)),
        ("adblock", "||q.com^\n@@||q.com^\n||y.com^", (3, 1, 0, 0, 1, 1, 0, 0)),
        ("hosts", "0.0.0.0 q.com www.q.com q.com\n127.0.0.1 localhost\n", (3, 2, 1, 0, 0, 0, 0, 0)),
        ("rpz", "q.com CNAME .\n*.q.com CNAME .\nq.com A 0.0.0.0\na.q.com CNAME .\n", (4, 2, 1, 1, 0, 0, 0, 0)),
        ("rpz", "*.q.com CNAME .\na.q.com CNAME rpz-passthru.\n", (2, 1, 0, 0, 0, 1, 0, 0)),
        ("regex", "^a\n^a\n(b+)+\n", (3, 1, 1, 0, 0, 0, 0, 1)),
    ],
)
def test_the_report_counts_each_line_once(tmp_path, list_format, text, counts):
    _, reports = compiled(tmp_path, given_list(text, list_format))
    report = reports["list"]
    found = (
        report.read,
        report.accepted,
        report.duplicates,
        report.subsumed,
        report.lifted,
        report.exceptions,
        report.for_proxy,
        report.rejected,
    )
    assert found == counts
    assert report.read == balance(report)


def test_rejected_lines_keep_number_file_and_reason(tmp_path):
    files = {"domains": b"ok.example\n\n192.0.2.1\n", "urls": b"www.facebook.com/page\nx.example\n"}
    source = ListSource("u", "adult", "ut1", "MIT")
    _, reports = compiled(tmp_path, ListInput(source, lambda: files))
    report = reports["u"]
    assert [(line.file, line.line, line.reason, line.text) for line in report.lines] == [
        ("domains", 3, "an address, not a name", "192.0.2.1")
    ]
    assert report.for_proxy == 1
    assert report.reasons == {"an address, not a name": 1}
    assert (tmp_path / "report.json").read_text().startswith("{")
    assert "u: 1 x an address, not a name" in table([report])


def test_only_so_many_rejected_lines_are_listed_but_all_are_counted(tmp_path):
    _, reports = compiled(tmp_path, given_list("ok.example\n" + "bad..name\n" * 5000))
    assert reports["list"].reasons == {"empty label": 5000}
    assert len(reports["list"].lines) == 100


def test_urls_of_a_ut1_folder_never_become_host_names(tmp_path):
    files = {"urls": b"www.facebook.com/casino\nhttp://www.youtube.com/watch?v=1\nzalo.me/g/x\n"}
    index, reports = compiled(tmp_path, ListInput(ListSource("u", "adult", "ut1", "MIT"), lambda: files))
    assert index.names == len(CATEGORIES)
    assert reports["u"].for_proxy == 3


def test_a_flattened_url_list_cannot_block_what_everybody_needs(tmp_path):
    """As ChongLuaDao's host file: pages on large sites, cut down to www.facebook.com, www.youtube.com and zalo.me."""
    text = "".join(
        f"0.0.0.0 {name}\n" for name in ("www.facebook.com", "www.youtube.com", "zalo.me", "docs.google.com", "lừa-đảo.vn", "scam.example")
    )
    index, reports = compiled(tmp_path, given_list(text, "hosts", "scam"))
    assert reports["list"].reasons == {"a critical name": 4}
    assert index.lookup("www.facebook.com") == ()
    assert rules(index, "scam.example") == ["=scam.example"]


class TestGuards:
    @pytest.mark.parametrize(
        ("text", "list_format"),
        [
            ("com.vn", "domains"),
            ("vn", "domains"),
            ("blogspot.com", "domains"),
            ("*.github.io", "domains"),
            ("||blogspot.com^", "adblock"),
            ("||zip^", "adblock"),
            ("||github.io^$denyallow=good.github.io", "adblock"),
            ("local=/edu.vn/", "dnsmasq"),
            ("*.com.vn CNAME .", "rpz"),
            ("anything.ck", "domains"),
        ],
    )
    def test_a_public_suffix_is_never_blocked_as_a_subtree(self, tmp_path, text, list_format):
        with pytest.raises(CompileRefused, match="empty"):
            compile_lists(tmp_path, [given_list(text, list_format)])
        index, reports = compiled(tmp_path, given_list(text, list_format), force=True)
        assert reports["list"].reasons == {"a public suffix": 1}
        assert index.lookup("school.edu.vn") == ()

    def test_an_open_category_may_name_a_public_suffix_but_no_top_level_or_private_one(self, tmp_path):
        index, reports = compiled(tmp_path, given_list("edu.vn\nvn\ngithub.io", category="learning"))
        assert rules(index, "thcs1.edu.vn") == ["edu.vn"]
        assert [line.text for line in reports["list"].lines] == ["vn", "github.io"]

    @pytest.mark.parametrize(("name", "suffix"), [("www.ck", False), ("x.ck", True), ("co.uk", True), ("example.co.uk", False)])
    def test_wildcards_and_exceptions_of_the_public_suffix_list(self, name, suffix):
        assert is_public_suffix(name) is suffix

    @given(
        st.lists(
            st.sampled_from(["a", "www", "city", "com", "vn", "ck", "kobe", "jp", "blogspot", "github", "io", "uk", "co"]),
            min_size=1,
            max_size=4,
        )
    )
    def test_public_suffixes_are_those_of_the_package(self, labels):
        from publicsuffixlist import PublicSuffixList

        name = ".".join(labels)
        assert is_public_suffix(name) == _package(PublicSuffixList).is_public(name)

    @pytest.mark.parametrize("name", sorted(CRITICAL))
    def test_critical_names_are_canonical_and_a_harm_list_may_not_name_them(self, name):
        from blocklists.guards import objection
        from blocklists.rule import Shape

        assert normalise(name) == name
        assert objection(name, Shape.SELF, "phishing")

    def test_what_holds_a_critical_name_is_guarded_but_what_is_below_one_is_not(self, tmp_path):
        index, reports = compiled(tmp_path, given_list("mit.edu\nads.google.com\n*.zalo.me\n", category="malware"))
        assert [line.text for line in reports["list"].lines] == ["mit.edu", "zalo.me"]
        assert rules(index, "ads.google.com") == ["ads.google.com"]

    def test_a_list_whose_subject_it_is_may_name_it(self, tmp_path):
        index, _ = compiled(tmp_path, given_list("facebook.com\ngoogle.com\nok.example", category="social"))
        assert rules(index, "www.facebook.com") == ["facebook.com"]
        assert index.lookup("google.com") == ()

    def test_a_source_may_mean_a_critical_name(self, tmp_path):
        index, _ = compiled(tmp_path, given_list("archive.org", category="piracy", may_name=frozenset({"archive.org"})))
        assert rules(index, "web.archive.org") == ["archive.org"]

    @pytest.mark.parametrize("text", ["", "# nothing\n", "bad..name\n", "\n\n"])
    def test_an_empty_list_is_refused(self, tmp_path, text):
        with pytest.raises(CompileRefused, match="list: an empty list"):
            compile_lists(tmp_path, [given_list(text)])

    def test_an_error_page_is_refused_by_name_with_every_other_bad_list(self, tmp_path):
        inputs = [given_list("<!DOCTYPE html>", name="page"), given_list("", name="nothing"), given_list("q.com", name="fine")]
        with pytest.raises(CompileRefused) as refused:
            compile_lists(tmp_path, inputs)
        assert [reason.partition(":")[0] for reason in refused.value.reasons] == ["nothing", "page"]

    def test_an_error_page_is_refused_even_by_force(self, tmp_path):
        with pytest.raises(CompileRefused, match="HTML"):
            compile_lists(tmp_path, [given_list("<html>")], force=True)

    @pytest.mark.parametrize(("before", "now", "fine"), [(100, 50, True), (100, 49, False), (100, 5000, True), (600, 6001, False)])
    def test_a_list_that_changed_beyond_belief_is_refused(self, tmp_path, before, now, fine):
        listed = given_list("".join(f"n{number}.example\n" for number in range(now)))
        if fine:
            compile_lists(tmp_path, [listed], previous={"list": before})
            return
        with pytest.raises(CompileRefused, match=r"list: (shrank|grew) from"):
            compile_lists(tmp_path, [listed], previous={"list": before})
        compile_lists(tmp_path, [listed], previous={"list": before}, force=True)

    @pytest.mark.parametrize("damage", ["<html>", ""])
    def test_what_force_does_not_mend_is_not_called_a_shrunk_list(self, tmp_path, damage):
        with pytest.raises(CompileRefused) as refused:
            compile_lists(tmp_path, [given_list(damage)], previous={"list": 100})
        assert "shrank" not in str(refused.value)

    def test_a_list_that_was_taken_out_is_no_shrinking(self, tmp_path):
        compile_lists(tmp_path, [given_list("q.com")], previous={"list": 1, "gone": 1000})

    def test_too_many_expressions_are_refused_whatever_their_order(self, tmp_path):
        with pytest.raises(CompileRefused, match="list: with it there are more than 500 regular expressions"):
            compile_lists(tmp_path, [given_list("".join(f"^x{number}$\n" for number in range(501)), "regex")])

    def test_too_many_conditions_are_refused(self, tmp_path):
        text = "".join(f"||n{number}.example^$dnstype=A\n" for number in range(5001))
        with pytest.raises(CompileRefused, match="list: with it there are more than 5000 rules with conditions"):
            compile_lists(tmp_path, [given_list(text, "adblock")])


def _package(kind, made=[]):  # noqa: B006 - reads the list once for all examples
    if not made:
        made.append(kind())
    return made[0]


def test_every_category_has_its_test_name_in_every_bundle(tmp_path):
    index, _ = compiled(tmp_path, given_list("q.com"))
    for category in CATEGORIES.values():
        (match,) = index.lookup(category.test_name)
        assert (match.source.name, match.source.category) == (TEST_SOURCE, category.id)


def test_what_a_source_says_of_itself_reaches_the_match(tmp_path):
    source = ListSource("order", "unlawful", "domains", "public", url="https://x.example/", authority="Sở KH&CN", document="12/QĐ")
    index, _ = compiled(tmp_path, ListInput(source, lambda: {"": b"q.com"}))
    (match,) = index.lookup("q.com")
    assert (match.source.authority, match.source.document, match.source.url) == ("Sở KH&CN", "12/QĐ", "https://x.example/")


def test_previous_counts_are_the_names_per_list(tmp_path):
    compile_lists(tmp_path, [given_list("q.com\ny.com\na.q.com", name="a"), given_list("q.com", name="b")])
    assert previous_counts(tmp_path) == {"a": 2, "b": 1}


NAME = st.lists(st.sampled_from(["a", "b", "x", "y", "example"]), min_size=2, max_size=4).map(lambda labels: ".".join([*labels, "test"]))
ADBLOCK = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["||", "||", "|", "@@||", "@@|", "||*."]),
    NAME,
    st.just("^"),
    st.sampled_from(["", "", "", "$important"]),
)
LISTS = st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), ADBLOCK), min_size=1, max_size=25)


def grouped(lines):
    return {name: [line for owner, line in lines if owner == name] for name in sorted({owner for owner, _ in lines})}


@settings(max_examples=60, deadline=None)
@given(LISTS, st.randoms(use_true_random=False))
def test_the_same_input_in_any_order_gives_the_same_bytes(tmp_path_factory, lines, random):
    folder = tmp_path_factory.mktemp("bundles")
    for name in ("one", "two"):
        inputs = [given_list("\n".join(texts), "adblock", name=owner) for owner, texts in grouped(lines).items()]
        random.shuffle(inputs)
        compile_lists(folder / name, inputs, force=True)
        random.shuffle(lines)
    for file in (NAMES, LABELS, RULES, MANIFEST):
        assert (folder / "one" / file).read_bytes() == (folder / "two" / file).read_bytes()


def by_the_book(lines: list[str], name: str) -> bool:
    """Adblock as its authors state it: of the rules that cover the name, important exception > important > exception > block."""
    strongest = 0
    for line in lines:
        allow, important = line.startswith("@@"), line.endswith("$important")
        body = line.removeprefix("@@").removesuffix("$important").rstrip("^")
        listed = body.lstrip("|*.")
        if body.startswith("||*."):
            covers = is_within(name, listed) and name != listed
        else:
            covers = is_within(name, listed) if body.startswith("||") else name == listed
        if covers:
            strongest = max(strongest, 1 + int(allow) + 2 * int(important))
    return strongest in {1, 3}


@settings(max_examples=300, deadline=None)
@given(st.lists(ADBLOCK, min_size=1, max_size=10), st.lists(NAME, max_size=5))
def test_adblock_lists_mean_what_their_authors_mean(tmp_path_factory, lines, names):
    index, reports = compiled(tmp_path_factory.mktemp("bundle"), given_list("\n".join(lines), "adblock"), force=True)
    for name in [*names, *(line.removesuffix("$important").strip("@|*.^") for line in lines)]:
        for asked in (name, "sub." + name):
            assert bool(index.lookup(asked)) == by_the_book(lines, asked), asked
    assert reports["list"].read == balance(reports["list"]) == len(lines)


@settings(max_examples=100, deadline=None)
@given(st.lists(NAME, min_size=1, max_size=30), st.lists(NAME, max_size=10))
def test_subsumed_names_change_nothing(tmp_path_factory, listed, names):
    index, reports = compiled(tmp_path_factory.mktemp("bundle"), given_list("\n".join(listed)))
    for name in [*names, *listed]:
        assert bool(index.lookup(name)) == any(is_within(name, entry) for entry in listed)
    kept = {name for name, entry in index.entries() if any(index.sources[source].name == "list" for source, _ in entry)}
    assert not any(is_within(one, other) for one in kept for other in kept if one != other)
    assert reports["list"].accepted == len(kept)


def test_the_starter_lists_compile_alone_without_a_rejected_line(tmp_path):
    directory = compile_starter(tmp_path / "starter")
    index = DomainIndex.open(directory)
    assert (directory / "report.json").is_file()
    assert '"rejected": 0' in (directory / "report.json").read_text()
    assert '"line":' not in (directory / "report.json").read_text()
    assert {source.category for source in index.sources} == set(CATEGORIES)


def test_compiling_the_starter_lists_again_leaves_an_open_index_alone(tmp_path):
    index = DomainIndex.open(compile_starter(tmp_path / "starter"))
    compile_starter(tmp_path / "starter")
    assert index.lookup("gambling.manglanh.test")
    assert [path.name for path in tmp_path.iterdir()] == ["starter"]


def test_a_missing_file_is_refused_by_name(tmp_path):
    source = ListSource("lost", "adult", "domains", "MIT", path=tmp_path / "lost.txt")
    with pytest.raises(CompileRefused, match=r"lost: .*lost\.txt: No such file"):
        compile_lists(tmp_path / "out", [ListInput(source, partial(read_path, source.path, "domains"))])
