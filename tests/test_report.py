"""The page of a folder: what is on it, and what a browser makes of it."""

import base64
import builtins
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

import ibdyn
from ibdyn import report, report_claims, report_figures, storage
from ibdyn.cli import main
from theory import phases

ARTEFACTS = Path(os.environ.get("IBDYN_ARTEFACTS", Path(__file__).parent.parent / "test-artefacts"))
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
CLAIMS = [
    ("10", "relaxation takes exp(compression)", "open", "sgd", "1.234567", "nan", "open", ""),
    ("2", "layers forget & <b>learn</b>", "refuted", "exact", "-0.25", "-0.5", "refuted", HOSTILE),
    ("2", "layers forget & <b>learn</b>", "refuted", "bins", "0.5", "0.25", "supported", "few"),
    ("1", "information falls with depth", "supported", "exact", "0", "nan", "supported", ""),
]
COLUMNS = ("claim", "statement", "claim_verdict", "condition", "effect", "low", "verdict", "note")


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    """Two records, one of them below and of hostile names, and what lies beside records."""
    home = tmp_path_factory.mktemp("records")
    ibdyn.save(run, home / "first.nc")
    other = run.isel(layer=[1, 0], member=[2, 1], step=slice(4)).assign_attrs(title=HOSTILE)
    ibdyn.save(other.assign_attrs(complete=0), home / "deeper" / "second.nc")
    ibdyn.save(run.drop_attrs(deep=False).assign_attrs(schema_version=1), home / "bare.nc")
    storage.write(xr.Dataset({"answer": 42}), home / "table.nc")
    (home / "broken.nc").write_bytes(b"no netCDF")
    (home / "third.nc.partial").mkdir()
    (home / "third.nc.partial" / "shard-000001.nc").write_bytes(b"")
    with (home / "claims.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *CLAIMS])
    plt.figure(figsize=(2, 1)).savefig(home / "picture & more.png")
    plt.close("all")
    return home


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "new" / "report.html"
    return out, report.write(folder, out, command="ibdyn report <folder>")


def records_of(path):
    """What the page holds of each record."""
    found = re.findall(
        r'<script type="application/json" class="record">(.*)</script>', path.read_text()
    )
    return [json.loads(text) for text in found]


def unpacked(text, *shape, dtype="<f4"):
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


def points(packed, estimators, members, steps, layers):
    """Values of members as the page's script reads them."""
    shape = (estimators, members, steps, layers)
    fractions = unpacked(packed["fractions"], *shape, dtype="<u2")
    low, span = (
        unpacked(packed[key], estimators, 1, 1, layers).astype(float) for key in ("low", "span")
    )
    return np.where(fractions == 65535, np.nan, low + fractions / 65534 * span)


def rounding(values):
    """How far a value on the page may lie from the record's: half a fraction, and a float32."""
    low, high = (getattr(values, end)(("member", "step")) for end in ("min", "max"))
    return (high - low) / 65534 / 2 + 2.0**-23 * abs(values).max(("member", "step"))


def test_a_page_names_what_it_shows_and_what_was_left_out(written):
    out, found = written
    text = out.read_text()
    assert list(found.records) == ["deeper/second", "first"]
    assert found.left_out.keys() == {"bare.nc", "broken.nc", "table.nc", "third.nc.partial"}
    assert found.left_out["bare.nc"] == (
        "has no attribute title, config, task_information, batch_size, train_size"
    )
    for name, why in found.left_out.items():
        assert f"<b>{name}</b>: {why.replace(chr(39), '&#x27;')}" in text
    assert "2 records of 5 networks in all" in text
    assert "ibdyn report &lt;folder&gt;, ibdyn " in text
    shown = r'<img alt="picture &amp; more\.png" src="data:image/png;base64,([^"]*)">'
    (data,) = re.findall(shown, text)
    assert base64.b64decode(data) == (found.path / "picture & more.png").read_bytes()


def test_the_command_writes_the_page_and_says_what_it_left_out(folder, tmp_path, capsys):
    out = tmp_path / "report.html"
    assert main(["report", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"wrote {out}: 2 records\n"
    assert "ibdyn: left out third.nc.partial: it is an unfinished run\n" in printed.err
    assert printed.err.count("\n") == 4
    assert f"ibdyn report {folder} --out {out}" in out.read_text()


def test_bad_input_is_one_line_before_any_work(folder, tmp_path, capsys, monkeypatch):
    storage.write(xr.Dataset({"answer": 42}), tmp_path / "table.nc")
    out = ["--out", str(tmp_path / "report.html")]
    assert main(["report", str(tmp_path / "gone"), *out]) == 2
    assert "gone is no folder, expected one of records" in capsys.readouterr().err
    assert main(["report", str(tmp_path), *out]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path} holds no record of ibdyn, expected NAME.nc; table.nc does not" in error
    assert error.count("\n") == 1
    monkeypatch.setattr(report, "collect", None)
    assert main(["report", str(folder), "--out", str(tmp_path)]) == 2
    assert "is a folder, expected a file" in capsys.readouterr().err
    known = builtins.__import__

    def without_plotly(name, *arguments):
        if name.startswith("plotly"):
            raise ImportError(name)
        return known(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_plotly)
    assert main(["report", str(folder), *out]) == 2
    assert 'not installed: pip install "ibdyn[report]"' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["table.nc"]


def test_fifty_members_and_three_hundred_steps_are_less_than_eight_mebibytes(run, tmp_path):
    count, members = 300, 50
    large = run.isel(
        member=np.arange(members) % 3, step=np.arange(count) % 6, layer=[0, 0, 0, 1, 1, 2]
    )
    large = large.drop_vars("parameters").assign_coords(
        member=np.arange(members),
        step=("step", np.arange(count), run.step.attrs),
        epoch=("step", np.arange(count) / 2.0, run.epoch.attrs),
        layer=("layer", ["1", "2", "3", "4", "5", "output"], run.layer.attrs),
    )
    large["member"].attrs = run.member.attrs
    ibdyn.save(large, tmp_path / "large.nc")
    out = tmp_path / "report.html"
    report.write(tmp_path, out)
    assert out.stat().st_size < 8 * 2**20
    (record,) = records_of(out)
    assert record["recorded"] == count
    assert len(record["steps"]) == 100
    assert record["steps"][0] == 0
    assert record["steps"][-1] == count - 1
    shown = large.sel(step=record["steps"])
    for axis, variable in (("input", "information_input"), ("label", "information_label")):
        found = points(record["points"][axis], 2, members, 100, 6)
        assert (abs(found - shown[variable]) <= rounding(shown[variable])).all()
    # Members are copies of three, so the mean is known without the interval's code.
    weights = np.bincount(np.arange(members) % 3) / members
    mean = np.einsum("m,emsl->esl", weights, shown.information_input.values[:, :3])
    found = unpacked(record["means"]["input"]["mean"], 2, 100, 6)
    np.testing.assert_allclose(found, mean, rtol=1e-6, atol=1e-6)


def test_gradients_are_geometric_means_of_the_papers_curves(run, written):
    record = next(one for one in records_of(written[0]) if one["name"] == "first")
    curves = {one["title"]: one for one in record["curves"]}
    expected = phases.gradient_curves(run, "paper")
    lines = curves["gradients, mean and spread"]["lines"]
    assert [line["layer"] for line in lines] == [0, 1, 2, 0, 1, 2]
    for line in lines:
        values = expected[line["name"]].isel(layer=line["layer"])
        mean = np.exp(np.log(values).mean("member"))
        np.testing.assert_allclose(unpacked(line["mean"], 6), mean, rtol=1e-6)
        assert line["dash"] == {"mean": "solid", "spread": "dash"}[line["name"]]
    ratio = np.exp(np.log(phases.signal_to_noise(run)).mean("member"))
    for line in curves["signal-to-noise ratio"]["lines"]:
        found = unpacked(line["mean"], 6)
        np.testing.assert_allclose(found, ratio.isel(layer=line["layer"]), rtol=1e-6)
    (loss,) = (unpacked(n["mean"], 6) for n in curves["cross-entropy loss"]["lines"][:1])
    np.testing.assert_allclose(loss, run.loss.sel(split="train").mean("member"), rtol=1e-6)


def test_layers_go_from_the_input_to_the_output(run, written):
    second = records_of(written[0])[0]
    assert [layer["name"] for layer in second["layers"]] == ["1", "2"]
    found = points(second["points"]["input"], 2, 2, 4, 2)
    expected = run.information_input.isel(member=[2, 1], step=slice(4), layer=[0, 1])
    assert (abs(found - expected) <= rounding(expected)).all()


def test_steps_at_which_a_costly_estimator_was_measured_are_kept(run):
    steps = np.arange(40)
    long = run[["information_input"]].isel(step=steps % 6).assign_coords(step=steps)
    rare = (long.step % 13 == 5) | (long.estimator == run.estimator[0])
    found = report_figures.frames(long.where(rare), 4)
    assert found.tolist() == [0, 5, 13, 18, 26, 31, 39]


def test_what_is_not_finite_is_left_out_of_means(run):
    run = run.copy(deep=True)
    run.loss[:, 1, -1] = np.inf
    run.diverged[1] = 1
    run.information_input[0, 1, 2:, 0] = np.nan
    record = report_figures.packed("first", report_figures.needed(run), 100)
    assert record["diverged"] == [1]
    found = points(record["points"]["input"], 2, 3, 6, 3)
    assert np.array_equal(np.isnan(found), run.information_input.isnull())
    mean = unpacked(record["means"]["input"]["mean"], 2, 6, 3)[0, -1, 0]
    expected = run.information_input[0, [0, 2], -1, 0].mean()
    assert mean == pytest.approx(float(expected), rel=1e-6)
    lines = next(c for c in record["curves"] if c["title"] == "cross-entropy loss")["lines"]
    expected = run.loss.isel(split=0, step=-1, member=[0, 2]).mean()
    assert unpacked(lines[0]["mean"], 6)[-1] == pytest.approx(float(expected), rel=1e-6)


def test_records_that_do_not_fit_are_thinned_and_else_refused(run, monkeypatch):
    slim = {"run": report_figures.needed(run)}
    whole = len(report.packed(slim)[0])
    monkeypatch.setattr(report, "FRAMES", (100, 4, 2))
    monkeypatch.setattr(report, "LARGEST_RECORDS", whole - 1)
    assert len(json.loads(report.packed(slim)[0])["steps"]) == 4
    monkeypatch.setattr(report, "LARGEST_RECORDS", 1000)
    with pytest.raises(ValueError, match=r"1 records need \d+ bytes of the page at 2 steps each"):
        report.packed(slim)


def test_pictures_without_room_are_links(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "LARGEST_PAGE", 100)
    out = tmp_path / "report.html"
    report.write(folder, out)
    (link,) = re.findall(r'Not in the page: <a href="([^"]*)">', out.read_text())
    assert link.startswith("..")
    assert link.endswith("picture%20%26%20more.png")


def test_claims_are_sorted_by_number_with_words_and_signs(folder):
    rows = report_claims.read(folder / "claims.csv")
    assert [row["claim"] for row in rows] == ["1", "2", "2", "10"]
    text = report_claims.table(rows)
    assert text.startswith("<p>1 supported, 1 refuted, 1 open.</p>")
    for sign, verdict in (("✓", "supported"), ("✗", "refuted"), ("?", "open")):
        assert f'<span class="sign" aria-hidden="true">{sign}</span> {verdict}</span>' in text
    assert "layers forget &amp; &lt;b&gt;learn&lt;/b&gt;" in text
    assert "<script" not in text
    assert "2 findings on claim 2" in text
    assert "<td>1.235</td><td>—</td>" in text


def test_claims_of_any_columns_are_shown(tmp_path):
    path = tmp_path / "claims.csv"
    path.write_text("when,verdict\nnow,supported\nlater,odd,1,2\nnever\n")
    text = report_claims.table(report_claims.read(path))
    assert text.count("<tr>") == 4
    assert "<td>1, 2</td>" in text
    path.write_text("claim,verdict\nb,open\n3,refuted\n3,supported\na,\n")
    rows = report_claims.read(path)
    assert [row["claim"] for row in rows] == ["3", "3", "a", "b"]
    assert "refuted, supported" in report_claims.table(rows)
    path.write_text("claim,verdict\n")
    assert report_claims.table(report_claims.read(path)) == "<p>The file holds no claims.</p>"
    path.write_bytes(b"claim\n\xff\xfe\n")
    with pytest.raises(ValueError, match=r"claims.csv cannot be read as CSV"):
        report_claims.read(path)


def test_a_page_needs_no_torch(folder, tmp_path):
    code = (
        f"from ibdyn import report; report.write({str(folder)!r}, {str(tmp_path / 'r.html')!r}); "
        "import sys; print('torch' in sys.modules, 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


# In the browser -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium; without it these tests fail."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    for name, found in programs.items():
        assert found, f"{name} is not there: apt-get install chromium chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    # A container has no rights for Chromium's own sandbox, and little shared memory.
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs["chromedriver"]))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, written):
    """The page in a wide window, at the record ``first``; no test may leave a console error."""
    window(browser, 1280, 900)
    browser.get(written[0].as_uri())
    Select(browser.find_element(By.ID, "record")).select_by_visible_text("first")
    yield browser
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.hacked") is None
    loaded = "return performance.getEntriesByType('resource').map(e => e.name.slice(0, 5))"
    assert set(browser.execute_script(loaded)) <= {"data:", "blob:"}


def window(browser, width, height, *, mobile=False):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def painted(browser):
    """Wait until what was asked for is drawn."""
    browser.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
    )


def slide(browser, frame):
    """Move the slider with the keyboard."""
    slider = browser.find_element(By.ID, "slider")
    slider.send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * frame)
    painted(browser)
    assert slider.get_attribute("value") == str(frame)


def traces(browser, meta):
    """The marks in the plane with this key of ``meta``, by layer."""
    found = browser.execute_script(
        "return document.getElementById('plane').data.filter(t => t.meta && arguments[0] in t.meta)"
        ".map(t => ({meta: t.meta, x: t.x, y: t.y, symbol: t.marker.symbol, of: t.customdata}))",
        meta,
    )
    return {trace["meta"][meta]: trace for trace in found}


def assert_shows(browser, all_steps, step):
    """Points and means of every layer are those of the record at an estimator and step."""
    one = all_steps.isel(step=step)
    points, means = traces(browser, "layer"), traces(browser, "meanOf")
    assert list(points) == list(means) == one.layer.values.tolist()
    for layer in points:
        values = one.sel(layer=layer)
        assert points[layer]["of"] == one.member.values.tolist()
        for axis, variable in (("x", "information_input"), ("y", "information_label")):
            exact = values[variable].values
            error = float(rounding(all_steps[variable].sel(layer=layer)))
            assert error < 1e-4
            np.testing.assert_allclose(points[layer][axis], exact, rtol=0, atol=error)
            assert means[layer][axis][0] == pytest.approx(exact.mean(), rel=1e-6, abs=1e-6)
        hollow = [symbol.endswith("-open") for symbol in points[layer]["symbol"]]
        assert hollow == (values.resolved.values == 0).tolist()


def picture(browser, name):
    """Keep what the window shows."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    assert browser.save_screenshot(str(ARTEFACTS / f"report-{name}.png"))


def test_slider_and_estimator_show_the_records_own_values(opened, run):
    assert opened.find_element(By.ID, "epoch").text == "epoch 12"
    assert_shows(opened, run.isel(estimator=0), -1)
    slide(opened, 2)
    assert opened.find_element(By.ID, "epoch").text == f"epoch {run.epoch[2].item():g}"
    assert_shows(opened, run.isel(estimator=0), 2)
    Select(opened.find_element(By.ID, "estimator")).select_by_visible_text("binned-width-0.07")
    assert_shows(opened, run.sel(estimator="binned-width-0.07"), 2)
    slide(opened, 4)
    one = run.sel(estimator="binned-width-0.07")
    assert_shows(opened, one, 4)
    about = opened.find_element(By.ID, "plane-estimator").text
    assert about.startswith("Estimator binned-width-0.07: information of the cell of T")
    row = opened.find_element(By.CSS_SELECTOR, "#numbers tbody tr:last-child").text
    mean = one.information_input.sel(layer="output").isel(step=4).mean().item()
    assert f"output {mean:.3f} (" in row
    picture(opened, "wide")


def test_a_point_under_the_mouse_says_its_values(opened, run):
    slide(opened, 3)
    # Means lie above the points; the member farthest from its mean is free of them.
    one = run.isel(estimator=0, step=3).sel(layer="2")
    member = int(np.argmax(abs(one.information_input - one.information_input.mean()).values))
    x, y = float(one.information_input[member]), float(one.information_label[member])
    place = opened.execute_script(
        "const [plane, x, y] = [document.getElementById('plane'), arguments[0], arguments[1]];"
        "plane.scrollIntoView({block: 'center'}); const box = plane.getBoundingClientRect();"
        "const axes = plane._fullLayout;"
        "return [axes.xaxis._offset + axes.xaxis.l2p(x) - box.width / 2,"
        " axes.yaxis._offset + axes.yaxis.l2p(y) - box.height / 2]",
        x,
        y,
    )
    plane = opened.find_element(By.ID, "plane")
    ActionChains(opened).move_to_element_with_offset(plane, *map(round, place)).perform()
    deadline = time.monotonic() + 5
    while not (said := opened.find_element(By.CSS_SELECTOR, "#plane .hoverlayer").text):
        assert time.monotonic() < deadline, "nothing is said of the point"
    assert f"layer 2, member {member}" in said
    found = [float(number) for number in re.findall(r"= (\S+) bit", said)]
    assert found == pytest.approx([x, y], abs=0.5e-3 + 1e-4)


def test_the_second_plot_follows_the_slider(opened, run):
    place = "return document.getElementById('curves').layout.shapes.at(-1)"
    slide(opened, 3)
    upright = opened.execute_script(place)
    assert upright["x0"] == upright["x1"] == run.epoch[3].item()
    slide(opened, 0)
    assert opened.execute_script(place)["xref"] == "paper"
    quantity = Select(opened.find_element(By.ID, "quantity"))
    names = [option.text for option in quantity.options]
    assert names[:2] == ["gradients, mean and spread", "signal-to-noise ratio"]
    quantity.select_by_visible_text("signal-to-noise ratio")
    lines = opened.execute_script(
        "return document.getElementById('curves').data.filter(t => t.name).map(t => [t.x, t.y])"
    )
    ratio = np.exp(np.log(phases.signal_to_noise(run)).mean("member"))
    for line, layer in zip(lines, run.layer.values, strict=True):
        np.testing.assert_allclose(line[0], run.epoch[1:])
        np.testing.assert_allclose(line[1], ratio.sel(layer=layer)[1:], rtol=1e-6)


def test_layers_and_members_are_chosen_by_boxes(opened, run):
    opened.find_element(By.CSS_SELECTOR, "#layers label:nth-child(2)").click()
    assert list(traces(opened, "layer")) == ["1", "output"]
    opened.find_element(By.CSS_SELECTOR, "#member-choice summary").click()
    opened.find_element(By.ID, "members-none").click()
    assert traces(opened, "layer")["1"]["of"] == []
    opened.find_element(By.CSS_SELECTOR, "#members label:nth-child(3)").click()
    point = traces(opened, "layer")["output"]
    values = run.information_input.isel(estimator=0).sel(layer="output")
    assert point["of"] == [2]
    exact, error = float(values[2, -1]), float(rounding(values))
    assert point["x"][0] == pytest.approx(exact, abs=error)
    assert opened.find_element(By.ID, "member-count").text == "1 of 3"
    opened.find_element(By.ID, "members-all").click()
    assert opened.find_element(By.ID, "member-count").text == "all 3"


def test_play_runs_to_the_end_and_can_be_stopped(opened):
    slide(opened, 0)
    play = opened.find_element(By.ID, "play")
    play.click()
    assert play.text == "Pause"
    deadline = time.monotonic() + 10
    while play.text != "Play":
        assert time.monotonic() < deadline, "play does not end"
    assert opened.find_element(By.ID, "epoch").text == "epoch 12"
    play.click()
    play.click()
    assert play.text == "Play"
    assert opened.find_element(By.ID, "slider").get_attribute("value") in ("0", "1")


def test_records_bring_their_own_layers_configuration_and_claims(opened, run):
    assert (
        opened.find_element(By.CSS_SELECTOR, "#configuration tr").text == "task.name spherical_rule"
    )
    Select(opened.find_element(By.ID, "record")).select_by_visible_text("deeper/second")
    painted(opened)
    second = run.isel(estimator=0, step=slice(4), layer=[0, 1], member=[2, 1])
    assert_shows(opened, second, 3)
    about = opened.find_element(By.ID, "record-about").text
    assert about.startswith("</script><script>window.hacked")
    assert "an unfinished run; all 4 recorded steps are on this page" in about
    heads = opened.find_elements(By.CSS_SELECTOR, ".claims > tbody > tr:not(.findings)")
    assert [head.text.split()[0] for head in heads] == ["1", "2", "10"]
    assert "refuted" in heads[1].text
    opened.find_elements(By.CSS_SELECTOR, ".findings summary")[1].click()
    assert HOSTILE in opened.find_elements(By.CSS_SELECTOR, ".findings")[1].text
    picture(opened, "claims")


def test_no_button_sends_data_away(opened):
    buttons = opened.execute_script(
        "return [...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title)"
    )
    assert set(buttons) == {"Download plot as a PNG", "Zoom in", "Zoom out", "Reset axes"}


def test_everything_stands_in_one_column_on_a_phone(opened):
    window(opened, 390, 844, mobile=True)
    opened.refresh()
    Select(opened.find_element(By.ID, "record")).select_by_visible_text("first")
    slide(opened, 4)
    width = "return [document.documentElement.scrollWidth, window.innerWidth]"
    assert opened.execute_script(width) == [390, 390]
    boxes = [opened.find_element(By.ID, name).rect for name in ("plane", "curves")]
    assert boxes[0]["y"] + boxes[0]["height"] < boxes[1]["y"]
    assert all(box["width"] > 350 for box in boxes)
    small = opened.execute_script(
        "return [...document.querySelectorAll('#time button, select, .boxes label')]"
        ".filter(e => e.offsetParent && e.offsetHeight < 32).length"
    )
    assert small == 0
    picture(opened, "phone-top")
    opened.execute_script("document.getElementById('plane').scrollIntoView()")
    painted(opened)
    picture(opened, "phone-plane")
    opened.execute_script("document.getElementById('curves').scrollIntoView()")
    painted(opened)
    picture(opened, "phone-curves")
