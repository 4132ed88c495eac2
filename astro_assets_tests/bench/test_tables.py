"""The bench's page: what was wrong shows, and neither half removes the other."""

from pathlib import Path

from astro_assets_tests.bench import growth, tables
from astro_assets_tests.bench.compared import Compared, Done
from astro_assets_tests.bench.judge import Judged
from astro_assets_tests.bench.measured import Cost

COST = Cost(wall_s=1.0, cpu_s=2.0, peak_mb=300.0, read_mb=400.0, written_mb=50.0)


def done(*, right: bool) -> Done:
    compared = Compared(
        work="stack", peer="Siril", figure="wall_s", wanted=0.25, ours=1.0, theirs=10.0,
        right=right, theirs_cost=COST,
    )  # fmt: skip
    return Done("stack", COST, COST, Judged("off by a mile", right), (compared,))


def test_a_wrong_result_is_shown_as_not_reached(tmp_path: Path) -> None:
    page = tmp_path / "bench.md"
    tables.write(page, [done(right=False)], rounds=3)
    text = page.read_text(encoding="utf-8")
    assert "| stack | Siril | wall | 1.00 | 10.00 | 0.100 | ≤ 0.25 | **no** | **no** |" in text
    assert "off by a mile" in text
    assert "WRONG" in tables.one_line(done(right=False).compared)
    tables.write(page, [done(right=True)], rounds=3)
    assert "| ≤ 0.25 | yes | yes |" in page.read_text(encoding="utf-8")


def test_growth_stays_when_the_ratios_are_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "bench.md"
    page.write_text(f"# Speed\n\nold ratios\n\n{tables.GROWTH}\nas it was\n", encoding="utf-8")
    tables.write(page, [done(right=True)], rounds=3)
    text = page.read_text(encoding="utf-8")
    assert text.endswith(f"{tables.GROWTH}\nas it was\n")
    assert "old ratios" not in text


def lines(what: str, *counts: int, wall_s: float) -> list[growth.Line]:
    cost = Cost(wall_s=wall_s, cpu_s=2.0, peak_mb=300.0, read_mb=4.0, written_mb=5.0)
    return [growth.Line(what, count, cost, "1 s a frame", "≤ 2", True) for count in counts]


def test_what_is_measured_alone_joins_what_the_page_has(tmp_path: Path) -> None:
    page = tmp_path / "bench.md"
    tables.write(page, [done(right=True)], rounds=3)
    ratios = page.read_text(encoding="utf-8").rstrip()
    growth.write(page, lines(growth.SESSIONS, 20, 60, wall_s=1) + lines(growth.TICK, 9, wall_s=2))
    growth.write(page, lines(growth.NIGHTS, 2, 100, wall_s=3))
    growth.write(page, lines(growth.SESSIONS, 20, 600, wall_s=4))
    text = page.read_text(encoding="utf-8")
    assert text.startswith(ratios)
    rows = tables.rows_of(tables.growth_part(page), 8)
    assert [row[:3] for row in rows] == [
        [growth.SESSIONS, "20", "4.00"],
        [growth.SESSIONS, "600", "4.00"],
        [growth.NIGHTS, "2", "3.00"],
        [growth.NIGHTS, "100", "3.00"],
        [growth.TICK, "9", "2.00"],
    ]
    assert text.count("| What |") == 1
