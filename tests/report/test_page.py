"""The page as a whole: self-contained, true to the run, and safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from etude.errors import RunFolderError
from etude.report import write_report
from etude.runs.folder import RunFolder
from etude.runs.metrics import read_metrics, series
from tests.report.page_reader import Page
from tests.report.synthetic import make_run, write_comparison


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = make_run(tmp_path_factory.mktemp("runs") / "button-press")
    write_comparison(folder)
    return folder


@pytest.fixture(scope="module")
def page(run: RunFolder) -> Page:
    return Page(write_report([run.root]).path)


def test_it_is_well_formed(page: Page) -> None:
    assert page.unbalanced == []
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert [tag for tag, _ in page.elements].count("h1") == 1


def test_it_loads_nothing_from_elsewhere(page: Page) -> None:
    assert page.loaded()
    for address in page.loaded():
        assert address.startswith(("data:", "#")), address
        if address.startswith("#"):
            assert f'id="{address[1:]}"' in page.source
    assert "@import" not in page.source
    assert "url(" not in page.source
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"link", "iframe", "object", "embed", "form"}


def test_it_can_be_read_without_seeing(page: Page) -> None:
    for tag, attributes in page.elements:
        if tag == "img":
            assert attributes["alt"]
        if tag == "video" or attributes.get("role") in ("img", "region"):
            assert attributes["aria-label"]
    chart = next(attributes for _, attributes in page.elements if attributes.get("data-chart") == "0")
    assert "validation: from" in chart["aria-label"]


def test_numbers_are_those_of_the_run(page: Page, run: RunFolder) -> None:
    curves = series(read_metrics(run.metrics_path))
    best_step, best = min(curves["val/loss"], key=lambda point: point[1])
    assert f"{best:.4g}"[:6] in page.text
    assert f"at step {best_step:,}" in page.text
    loss = next(chart for chart in page.charts if chart["key"] == "loss")
    training, validation = loss["series"]
    assert training["points"][-1][0] == 2000
    assert training["points"][-1][1] == pytest.approx(curves["train/loss"][-1][1], rel=1e-5)
    assert [step for step, _ in validation["points"]] == [step for step, _ in curves["val/loss"]]
    assert {chart["key"] for chart in page.charts} >= {
        "lr",
        "grad_norm",
        "samples_per_s",
        "data_wait_share",
        "l1_loss",
    }


def test_it_says_what_ran_and_how_to_run_it_again(page: Page, run: RunFolder) -> None:
    manifest = run.manifest()
    for text in (
        "etude train --policy.type=act",
        f"git checkout {manifest.git['commit']}",
        "uncommitted",
        f"lerobot {manifest.packages['lerobot']}",
        "etude/button-press-topdown",
        "27 episodes: 0–2, 4–16, 18–20, 22–29",
        "3 episodes: 3, 17, 21",
        "12,345,678",
        "finished",
    ):
        assert text in page.text, text


def test_evaluations_have_their_intervals(page: Page) -> None:
    assert "92 %" in page.text
    assert "81–97 %" in page.text
    assert "46 of 50 rollouts" in page.text
    assert "p = 0.021" in page.text
    assert "succeeds 16 points more often than baseline at step 1,000" in page.text
    assert "95 % interval +3 to +29 points" in page.text
    assert "gripper" in page.text
    assert "All frames were answered within the control period of 50 ms" in page.text


def test_videos_and_plots_are_inside(page: Page, run: RunFolder) -> None:
    videos = page.media("video/mp4")
    on_disk = sorted((run.evaluations / "metaworld" / "videos").iterdir())
    assert sorted(videos) == sorted(file.read_bytes() for file in on_disk)
    assert len(page.media("image/svg+xml")) == 3


def test_checkpoints_are_listed_with_their_marks(page: Page) -> None:
    marks = [attributes["class"] for tag, attributes in page.elements if attributes.get("class", "").startswith("mark")]
    assert marks == ["mark last", "mark best"]


def test_media_beyond_the_budget_are_named_not_hidden(run: RunFolder, tmp_path: Path) -> None:
    written = write_report([run.root], tmp_path / "small.html", media_budget=0)
    page = Page(written.path)
    assert page.media("video/mp4") == []
    assert "videos/episode_0.mp4: left out to keep this page small" in page.text
    assert len(written.left_out) == 6


def test_names_from_a_run_are_text_never_markup(tmp_path: Path) -> None:
    evil = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'
    folder = make_run(
        tmp_path / "run",
        steps=100,
        name=evil,
        dataset={"repo_id": evil, "note": evil},
        command=["etude", "train", f"--job_name={evil}"],
        config={evil: evil, "env": {"type": evil}},
    )
    with open(folder.metrics_path, "a", encoding="utf-8") as file:
        file.write('{"step": 110, "time": 1.0, "metrics": {"train/</script><b>": 1.0}}\n')
    plain = Page(write_report([make_run(tmp_path / "plain", steps=100).root]).path)
    for roots in ([folder.root], [folder.root, tmp_path / "plain"]):
        page = Page(write_report(roots, tmp_path / "page.html").path)
        assert page.unbalanced == []
        assert [tag for tag, _ in page.elements].count("script") == [tag for tag, _ in plain.elements].count("script")
        assert not any("onerror" in attributes for _, attributes in page.elements)
        assert evil in page.text


def test_passwords_in_a_tracking_address_are_left_out(tmp_path: Path) -> None:
    folder = make_run(
        tmp_path / "run",
        steps=50,
        tracking={"mlflow": {"uri": "https://me:hunter2@mlflow.lab", "run_id": "7"}},
    )
    source = write_report([folder.root]).path.read_text(encoding="utf-8")
    assert "hunter2" not in source
    assert "https://mlflow.lab" in source


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "new", steps=0, status="running", evaluated=False, checkpoints=False)
    page = Page(write_report([folder.root]).path)
    assert page.unbalanced == []
    assert "Still running" in page.text
    assert "No point has been logged yet" in page.text
    assert "etude evaluate --policy.path=" in page.text
    assert "No checkpoint has been written yet" in page.text


def test_a_run_that_failed_says_why(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "bad", status="failed", evaluated=False, summary={"error": "loss is NaN at step 91"})
    page = Page(write_report([folder.root]).path)
    assert "loss is NaN at step 91" in page.text
    assert "etude train --resume" in page.text


def test_a_metrics_file_cut_short_loses_its_last_point_only(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "cut", steps=500, evaluated=False)
    whole = folder.metrics_path.read_bytes()
    folder.metrics_path.write_bytes(whole[:-20])
    written = write_report([folder.root])
    assert "cut short" in written.problems[0]
    assert Page(written.path).charts[0]["series"][0]["points"][-1][0] == 490


def test_a_metrics_file_damaged_in_the_middle_is_read_up_to_there(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "damaged", steps=500, evaluated=False)
    lines = folder.metrics_path.read_text(encoding="utf-8").splitlines(keepends=True)
    folder.metrics_path.write_text("".join([*lines[:20], "\x00\x00\n", *lines[20:]]), encoding="utf-8")
    written = write_report([folder.root])
    assert "damaged" in written.problems[0]
    assert Page(written.path).charts[0]["series"][0]["points"][-1][0] == 200


def test_values_that_are_not_finite_are_gaps(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "nan", steps=100, evaluated=False)
    with open(folder.metrics_path, "a", encoding="utf-8") as file:
        file.write('{"step": 110, "time": 1.0, "metrics": {"train/loss": "nan"}}\n')
    series_of_loss = Page(write_report([folder.root]).path).charts[0]["series"][0]
    assert series_of_loss["points"][-1] == [110, None]
    assert series_of_loss["gaps"] == 1


def test_an_evaluation_that_cannot_be_read_is_a_note(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "odd", steps=100)
    (folder.evaluations / "replay" / "result.json").write_text('{"kind": "replay", "joints": []', encoding="utf-8")
    written = write_report([folder.root])
    assert "replay could not be read" in written.problems[0]
    assert "92 %" in Page(written.path).text


def test_several_runs_share_their_charts(run: RunFolder, tmp_path: Path) -> None:
    other = make_run(tmp_path / "faster", lr=3e-4, seed=4)
    written = write_report([run.root, other.root, run.root], tmp_path / "both.html")
    page = Page(written.path)
    assert page.unbalanced == []
    assert "2 runs compared" in page.text
    loss = page.charts[0]
    assert [item["label"] for item in loss["series"]] == [
        "button-press", "button-press, validation", "faster", "faster, validation",
    ]  # fmt: skip
    assert [item["run"] for item in loss["series"]] == [0, 0, 1, 1]
    assert "policy.optimizer_lr" in page.text


def test_a_video_outside_the_evaluation_is_not_embedded(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", steps=50)
    (tmp_path / "private.mp4").write_bytes(b"private")
    result = folder.evaluations / "metaworld" / "result.json"
    result.write_text(result.read_text().replace("videos/episode_0.mp4", "../../../private.mp4"))
    page = Page(write_report([folder.root]).path)
    assert b"private" not in page.media("video/mp4")
    assert "the file is not there" in page.text


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"it has no run\.json"):
        write_report([tmp_path])
