"""A small night through the sensors: ticks against real servers, runs in this process.

The ticks of the fixture are the story; the tests say what is expected of it.
"""

import base64
import io
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from PIL import Image

from astro_assets.settings import Settings, load_settings
from astro_assets.sim.night import make_night
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.sources.manifest import Manifest
from astro_assets.store import Store, sha256_of
from astro_assets_tests.defs.conftest import Hand

SESSION = "2026-11-20_M42_ZWO-ASI294MC"
ORDER = [
    "pi_raw_calibrations",
    "pi_master_bias",
    "pi_master_dark",
    "pi_master_flat",
    "pi_bad_pixel_map",
    "pi_session",
]
LANE = [
    "raw_calibrations",
    "master_bias",
    "master_dark",
    "master_flat",
    "bad_pixel_map",
    "raw_lights",
    "calibrated",
    "solved",
    "stack",
]


@dataclass
class Story:
    """What the sensors asked for and said, look by look."""

    observatory: SimulatedObservatory
    settings: Settings
    hand: Hand
    asked: list[list[dg.RunRequest]]
    while_running: list[str | None]
    closing: list[list[dg.RunRequest]]
    early_closing: str | None

    @property
    def captures(self) -> Path:
        return self.observatory.root / "served/pi/captures/2026-11-20"

    @property
    def requests(self) -> list[dg.RunRequest]:
        return [request for tick in (*self.asked, *self.closing) for request in tick]

    def newest(self, *key: str) -> dg.AssetMaterialization:
        event = self.hand.instance.get_latest_materialization_event(dg.AssetKey(list(key)))
        assert event
        assert event.asset_materialization
        return event.asset_materialization


@contextmanager
def under_way(hand: Hand, requests: list[dg.RunRequest]) -> Iterator[None]:
    """Records of runs that have been started, as the daemon makes them."""
    started = [
        hand.instance.create_run_for_job(
            hand.defs.resolve_job_def(str(request.job_name)),
            status=DagsterRunStatus.STARTED,
            tags=dict(request.tags),
        )
        for request in requests
    ]
    yield
    for run in started:
        hand.instance.delete_run(run.run_id)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, instance: DagsterInstance) -> Iterator[Story]:
    root = tmp_path_factory.mktemp("night")
    make_night(root, sources=["pi"], size="small", truth_images=False)
    with SimulatedObservatory(root) as observatory:
        file = root / "observatory.toml"
        file.write_text(observatory.settings_toml(root / "data", interval_s=5, quiet_s=0))
        observatory.write_environment(root / ".env")
        settings = load_settings(file)
        hand = Hand.over(settings, instance)
        asked: list[list[dg.RunRequest]] = []
        waits: list[str | None] = []
        early = hand.tick("after_sessions")[1]
        while requests := hand.tick("watch_pi")[0]:
            asked.append(requests)
            with under_way(hand, requests):
                again, reason = hand.tick("watch_pi")
                assert again == []
                waits.append(reason)
                if requests[0].job_name == "pi_session":
                    assert hand.tick("after_sessions")[0] == []
            hand.run_well(requests)
        closing = []
        while requests := hand.tick("after_sessions")[0]:
            closing.append(requests)
            hand.run_well(requests)
        yield Story(observatory, settings, hand, asked, waits, closing, early)


# What is asked for


def test_calibrations_come_first_and_sessions_when_their_masters_are_there(story: Story) -> None:
    assert [{request.job_name for request in tick} for tick in story.asked] == [
        {job} for job in ORDER
    ]
    sets = {request.partition_key for request in story.asked[0]}
    assert len(sets) >= 3
    by_kind = [{str(r.partition_key) for r in story.asked[n]} for n in (1, 2, 3)]
    assert set().union(*by_kind) == sets
    for kind, keys in zip(("bias", "dark", "flat"), by_kind, strict=True):
        assert all(f"_{kind}_" in key for key in keys)
    assert [request.partition_key for request in story.asked[-1]] == [SESSION]


def test_what_is_under_way_is_waited_for(story: Story) -> None:
    assert set(story.while_running) == {"Runs are under way; what needs them waits."}


def test_then_the_composite_and_then_the_morning(story: Story) -> None:
    assert story.early_closing == "No target and no night has news."
    found = [[(r.job_name, r.partition_key) for r in tick] for tick in story.closing]
    assert found == [[("compose", "M42")], [("morning", "2026-11-20")]]


def test_partition_keys_are_safe_and_known(story: Story) -> None:
    assert not [
        r.partition_key for r in story.requests if set("|,[]/") & set(r.partition_key or "")
    ]
    instance = story.hand.instance
    assert instance.get_dynamic_partitions("pi_sessions") == [SESSION]
    assert instance.get_dynamic_partitions("targets") == ["M42"]
    assert instance.get_dynamic_partitions("nights") == ["2026-11-20"]


def test_without_news_nothing_is_asked_for(story: Story) -> None:
    for _ in range(2):
        requests, reason = story.hand.tick("watch_pi")
        assert requests == []
        assert reason
        assert re.fullmatch(r"Nothing new in \d+ sessions and calibration sets\.", reason)
        assert story.hand.tick("after_sessions") == ([], "No target and no night has news.")


def test_a_session_whose_run_vanished_is_not_lost(story: Story) -> None:
    """Another instance, as after somebody threw DAGSTER_HOME away: all is asked for again."""
    with DagsterInstance.ephemeral() as fresh:
        requests, _ = Hand(story.hand.defs, fresh).tick("watch_pi")
        assert {request.job_name for request in requests} == {"pi_raw_calibrations"}


def test_a_late_frame_is_another_request(story: Story) -> None:
    before = story.asked[-1][0]
    lines = (story.captures / "manifest.jsonl").read_text().splitlines()
    light = next(line for line in lines if "light" in json.loads(line)["file"])
    shutil.copyfile(story.captures / json.loads(light)["file"], story.captures / "late.fits")
    record = json.loads(light) | {"file": "late.fits"}
    with (story.captures / "manifest.jsonl").open("a") as manifest:
        manifest.write(json.dumps(record) + "\n")
    ((request,), _) = story.hand.tick("watch_pi")
    assert (request.job_name, request.partition_key) == ("pi_session", SESSION)
    assert request.run_key != before.run_key
    assert sha256_of(story.captures / "late.fits") == record["sha256"]


# What the pages show


def test_each_raw_batch_has_its_manifests_hash_as_version(story: Story) -> None:
    store = Store(story.settings.root)
    manifest = Manifest.load(store.raw("pi", SESSION))
    assert manifest
    newest = story.newest("pi", "raw_lights")
    assert newest.tags
    assert newest.tags["dagster/data_version"] == manifest.digest
    assert newest.metadata["frames"].value == 6
    assert newest.metadata["quarantined"].value == 0


@pytest.mark.parametrize("asset", LANE)
def test_every_materialization_tells_numbers_and_where_it_is(story: Story, asset: str) -> None:
    metadata = story.newest("pi", asset).metadata
    numbers = {
        name: value.value
        for name, value in metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
    }
    assert len(numbers) >= 2, metadata
    assert Path(str(metadata["path"].value)).exists()


@pytest.mark.parametrize(
    ("key", "figures"),
    [
        (["pi", "master_bias"], ["read_noise_e"]),
        (["pi", "master_flat"], []),
        (["pi", "bad_pixel_map"], []),
        (["pi", "calibrated"], []),
        (["pi", "solved"], []),
        (["pi", "stack"], []),
        (["composite"], []),
    ],
    ids=lambda value: "/".join(value) if value and isinstance(value[0], str) else "",
)
def test_pictures_are_small_and_to_be_seen(
    story: Story, key: list[str], figures: list[str]
) -> None:
    metadata = story.newest(*key).metadata
    found = re.fullmatch(
        r"!\[[^]]*\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)", str(metadata["picture"].value)
    )
    assert found
    picture = base64.b64decode(found[1])
    assert len(picture) <= 60_000
    image = Image.open(io.BytesIO(picture))
    assert min(image.size) >= 60
    low, high = image.convert("L").getextrema()
    assert isinstance(low, int)
    assert isinstance(high, int)
    assert high - low > 30
    for figure in figures:
        assert figure in metadata


def test_the_table_names_each_frame_and_why_it_was_rejected(story: Story) -> None:
    metadata = story.newest("pi", "solved").metadata
    table = metadata["table"]
    assert isinstance(table, dg.TableMetadataValue)
    assert metadata["frames"].value == len(table.records) == 6
    rows = [dict(record.data) for record in table.records]
    (rejected,) = (row for row in rows if row["reason"])
    assert "trailing" in str(rejected["reason"])
    # What browsers read must hold no NaN.
    json.dumps(rows, allow_nan=False)


def test_checks_have_results_with_a_sentence(story: Story) -> None:
    checks = story.hand.defs.resolve_asset_graph().asset_check_keys
    assert len(checks) == 4
    records = story.hand.instance.event_log_storage.get_latest_asset_check_execution_by_key(
        sorted(checks)
    )
    assert len(records) == 4
    for key, record in records.items():
        assert record.event
        assert record.event.dagster_event
        evaluation = record.event.dagster_event.asset_check_evaluation_data
        assert evaluation.description, key
        assert evaluation.passed, (key, evaluation.description)


def test_products_stand_in_the_order_of_their_making(story: Story) -> None:
    times = [story.newest("pi", asset) for asset in LANE]
    events = [
        story.hand.instance.get_latest_materialization_event(materialization.asset_key)
        for materialization in times
    ]
    assert all(a and b and a.timestamp <= b.timestamp for a, b in pairwise(events))
