"""The painting page in a real browser: paint, download, and explain with what was downloaded."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from vcebench.cli import main
from vcebench.data.registry import open_dataset
from vcebench.folders.runfolder import RunFolder
from vcebench.showing.painting.page import painting_page

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.common.exceptions import NoSuchElementException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser
MARKUP = "<img src=x onerror=window.planted=1>"


class Page:
    """The page in the browser, and the folder that downloads go to."""

    def __init__(self, driver, folder):
        self.driver, self.downloads = driver, folder / "downloads"
        self.downloads.mkdir()
        behaviour = {"behavior": "allow", "downloadPath": str(self.downloads)}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
        size = {"width": 1280, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(f"file://{folder}/region.html")
        self.until(lambda: self.one("#list li"))  # the script is through

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def until(self, done):
        """Wait for what the page does by and by; fails after a minute."""
        wait = WebDriverWait(self.driver, 60, ignored_exceptions=[NoSuchElementException])
        return wait.until(lambda _: done())

    def says(self, words):
        self.until(lambda: words in self.state())
        return self.state()

    def click(self, selector):
        self.one(selector).click()
        return self

    def state(self):
        return self.one("#state").text

    def width(self, pixels):
        code = "const s = arguments[0]; s.value = arguments[1]; s.dispatchEvent(new Event('input'))"
        self.driver.execute_script(code, self.one("#size"), pixels)
        return self

    def drag(self, *points):
        """Press at the first of some points, in pixels of the image, and move to the others."""
        canvas = self.one("#paint")
        box, size = (
            canvas.rect,
            self.driver.execute_script("return [arguments[0].width, arguments[0].height]", canvas),
        )
        at = [
            (round((x / size[0] - 0.5) * box["width"]), round((y / size[1] - 0.5) * box["height"]))
            for x, y in points
        ]
        actions = ActionChains(self.driver, duration=20)
        actions.move_to_element_with_offset(canvas, *at[0]).click_and_hold()
        for x, y in at[1:]:
            actions.move_to_element_with_offset(canvas, x, y)
        actions.release().perform()
        return self

    def download(self, selector, name):
        self.click(selector)
        path = self.downloads / name
        # A browser writes under another name, and renames what is whole.
        self.until(path.exists)
        return path


def mask_of(source):
    with Image.open(source) as picture:
        return np.array(picture.convert("L"))


@pytest.fixture
def page(browser, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name, size in (("one", (32, 32)), ("two", (60, 40))):
        Image.new("RGB", size, (90, 120, 150)).save(images / f"{name}.png")
    (tmp_path / "region.html").write_text(painting_page([images]))
    return Page(browser, tmp_path)


def test_a_stroke_is_painted_where_the_pointer_went(page):
    page.width(4).drag((6, 16), (26, 16))
    assert page.says("32 pixels, 9.").startswith("one: 32 × 32 pixels, 9.")
    mask = mask_of(page.download("#save", "one.png"))
    assert mask.shape == (32, 32)
    assert set(np.unique(mask)) == {0, 255}
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max()) == (14, 17)
    assert columns.min() in (4, 5)
    assert columns.max() in (26, 27)
    assert (mask[15:17, 7:25] == 255).all()


def test_eraser_undo_clear_and_invert(page):
    page.width(8).drag((16, 16))
    painted = page.says("%")
    page.click("#eraser").drag((16, 16)).says("nothing yet")
    page.click("#undo").says(painted)
    page.click("#clear").says("nothing yet")
    assert page.one("#save").get_attribute("disabled")
    page.click("#invert").says("100.0 %")
    assert (mask_of(page.download("#save", "one.png")) == 255).all()


def test_every_image_keeps_its_own_mask_and_all_come_in_one_archive(page):
    page.click("#invert").click("#list li:nth-child(2) button").width(10).drag((30, 20))
    page.says("two: 60 × 40 pixels")
    with zipfile.ZipFile(page.download("#all", "masks.zip")) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["one.png", "two.png"]
        one, two = (mask_of(io.BytesIO(archive.read(name))) for name in archive.namelist())
    assert (one == 255).all()
    assert two.shape == (40, 60)
    assert 60 < (two > 0).sum() < 100
    assert two[20, 30] == 255
    page.says("2 of 2 images")


def test_images_without_a_mask_are_left_out_aloud(page):
    page.click("#invert")
    with zipfile.ZipFile(page.download("#all", "masks.zip")) as archive:
        assert archive.namelist() == ["one.png"]
    page.says("1 of 2 images have a mask; the others were left out")


def test_what_was_painted_is_what_may_change(browser, tmp_path):
    """From an input of a run over the page to the region of the next one."""
    example = open_dataset("digits", "3-8")[0]
    source = tmp_path / "images" / f"{example.id}.png"
    source.parent.mkdir()
    Image.fromarray(example.image.permute(1, 2, 0).numpy()).save(source)
    (tmp_path / "region.html").write_text(painting_page([source]))
    page = Page(browser, tmp_path)
    mask = mask_of(page.width(12).drag((12, 16), (20, 16)).download("#save", source.name))
    run = ["run", "--method", "maskdime", "--dataset", "digits", "--limit", "1", "--set", "tau=2"]
    run += ["--threads", "1", "--region", str(page.downloads), "--output", str(tmp_path / "run")]
    assert main(run) == 0
    folder = RunFolder(tmp_path / "run")
    (row,) = folder.rows()
    assert (folder.region(row).numpy() == (mask > 0)).all()
    before, after = (folder.image(kind, row).numpy() for kind in ("inputs", "counterfactuals"))
    assert (before[:, mask == 0] == after[:, mask == 0]).all()
    assert (before != after).any()


def test_names_are_text_and_nothing_is_loaded(browser, tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / f"{MARKUP.replace('/', '')}.png")
    (tmp_path / "region.html").write_text(painting_page([tmp_path]))
    page = Page(browser, tmp_path)
    assert MARKUP in page.one("#list").text
    assert browser.execute_script("return window.planted === undefined")
    entries = browser.execute_script("return performance.getEntriesByType('resource')")
    assert [e["name"] for e in entries if not e["name"].startswith("data:")] == []
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


def test_the_command_writes_the_page(tmp_path, capsys):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    output = tmp_path / "page.html"
    assert main(["region", str(tmp_path / "a.png"), "--output", str(output)]) == 0
    assert capsys.readouterr().out.strip() == str(output)
    assert "data:image/png;base64," in output.read_text()


def test_what_is_no_image_and_equal_names_are_one_sentence(tmp_path, capsys):
    (tmp_path / "text.png").write_text("no image")
    assert main(["region", str(tmp_path / "text.png")]) == 2
    assert "cannot be read as an image; leave it out" in capsys.readouterr().err
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / folder / "same.png")
    assert main(["region", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "several images are called same" in capsys.readouterr().err
    assert main(["region", str(tmp_path / "gone.png")]) == 2
    assert "there is no image" in capsys.readouterr().err
