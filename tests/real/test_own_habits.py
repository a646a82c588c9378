"""Data and classifiers as people have them: the right value, or a sentence before any work."""

import json
import socket
from importlib import import_module

import numpy as np
import pytest
import torch
from owntask import OwnTask, picture, save, write_prior
from PIL import Image
from safetensors.torch import save_file

from vcebench.data.files import Geometry, read_picture
from vcebench.errors import UserError
from vcebench.models.own_classifier import load_classifier
from vcebench.models.own_prior import load_prior
from vcebench.settings.custom import read_custom
from vcebench.settings.parts import ClassifierPart, PriorPart
from vcebench.training import folder
from vcebench.training.folder import train_own
from vcebench.training.own_plan import OwnPlan


@pytest.fixture
def task(tmp_path):
    return OwnTask(tmp_path / "task")


def outcome(task, capsys, *words, **where):
    """Exit code and stderr of a run; a refusal is one line."""
    capsys.readouterr()
    code = task.run(*words, **where)
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert code in (0, 2)
    if code == 2:
        assert len([line for line in err.splitlines() if line.startswith("vcebench:")]) == 1
    return code, err


# Pixels


@pytest.mark.parametrize("kind", ["16-bit PNG", "16-bit TIFF", "RGBA", "palette", "12-bit PNG"])
def test_pictures_of_more_bits_or_with_transparency_are_explained_as_they_look(task, capsys, kind):
    grey = picture("bar", 0).mean(axis=2).astype(np.uint8)
    looks = np.repeat(grey[..., None], 3, axis=2)
    path = task.path / "images" / "bar" / ("0.tiff" if "TIFF" in kind else "0.png")
    note = "16 bits are scaled"
    if "bit" in kind:
        save(path, grey.astype(np.uint16) * (16 if "12" in kind else 257))
        if "12" in kind:
            looks, note = looks // 16, "nearly black"
    else:
        layered = np.dstack([looks, np.full(grey.shape, 255, np.uint8)])
        layered[:6, :, :3], layered[:6, :, 3] = (9, 8, 7), 0
        looks = looks.copy()
        looks[:6] = 255
        hidden = Image.fromarray(layered)
        if kind == "palette":
            hidden = hidden.quantize(256, Image.Quantize.FASTOCTREE)
            looks = None
        path.parent.mkdir(parents=True)
        hidden.save(path)
        note = "composed on white"
    save(task.path / "images" / "disc" / "0.png", picture("disc", 0))
    code, err = outcome(task, capsys)
    assert code == 0, err
    assert note in err
    found = task.inputs()[f"bar_{path.name}"]
    if looks is None:
        assert (found[:, 0] == 255).all()
        return
    plain = save(task.path / "plain.png", looks.astype(np.uint8))
    expected = read_picture(plain, Geometry(16, 16)).numpy()
    assert abs(found.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (lambda a: (a / 255).astype(np.float32), "mode F, floating point"),
        (lambda a: a.astype(np.int32) * 257, "mode I, 32-bit integers"),
    ],
    ids=["float", "int32"],
)
def test_values_without_a_range_are_refused_before_anything_is_made(task, capsys, pixels, words):
    task.images(1)
    save(task.path / "images" / "bar" / "deep.tiff", pixels(picture("bar", 0).mean(axis=2)))
    code, err = outcome(task, capsys)
    assert code == 2
    assert "deep.tiff" in err
    assert words in err
    assert not (task.path / "run").exists()


# Identity of a run

CHANGES = {
    "pictures": "pictures are others",
    "labels": "labels are others",
    "name": "no longer there or called otherwise",
    "classes": "configuration",
    "code": "networks|classifier",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_run_is_bound_to_what_it_was_made_of(task, capsys, what):
    labels = task.path / "labels.csv"
    labels.write_text("file,label\nbar/00.png,bar\nbar/01.png,bar\ndisc/00.png,disc\n")
    task.images(2).toml(data='labels = "labels.csv"\nclasses = ["bar", "disc"]')
    assert outcome(task, capsys)[0] == 0
    run = task.path / "run"
    before = {path: path.read_bytes() for path in run.rglob("*.p*") if path.is_file()}
    if what == "pictures":
        changed = task.path / "images/bar/00.png"
        kept = changed.read_bytes()
        save(changed, picture("disc", 7))
    elif what == "labels":
        changed, kept = labels, labels.read_bytes()
        changed.write_bytes(kept.replace(b"bar/01.png,bar", b"bar/01.png,disc"))
    elif what == "name":
        changed, kept = labels, labels.read_bytes()
        (task.path / "images/bar/00.png").rename(task.path / "images/bar/new.png")
        changed.write_bytes(kept.replace(b"bar/00", b"bar/new"))
    elif what == "classes":
        changed, kept = task.config, task.config.read_bytes()
        changed.write_bytes(kept.replace(b'"bar", "disc"', b'"disc", "bar"'))
    else:
        changed = task.path / "clf.py"
        kept = changed.read_bytes()
        changed.write_bytes(kept.replace(b"+ 0.3", b"+ 0.2"))
    code, err = outcome(task, capsys)
    assert code == 2
    assert any(words in err for words in CHANGES[what].split("|")), err
    assert {path: path.read_bytes() for path in before} == before
    changed.write_bytes(kept)
    if what == "name":
        (task.path / "images/bar/new.png").rename(task.path / "images/bar/00.png")
    assert outcome(task, capsys)[0] == 0


# Identity of a training


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """recipe(…) → what a training on the folder `first` (or another) has to be equal in."""
    for name in ("first", "second"):
        for number in range(3):
            save(tmp_path / name / f"{number}.png", picture("bar", number + 10 * len(name)))
    plan = {"size": (16, 16), "width": 32, "steps": 1, "batch": 2, "flip": True}
    monkeypatch.setattr(folder, "train_part", lambda dataset, part, output, **how: part.recipe())
    return lambda data="first", **other: train_own(
        "prior", tmp_path / data, tmp_path / "out", OwnPlan(**{**plan, **other}), progress=False
    )


@pytest.mark.parametrize(
    "change",
    [
        *({"data": "second"}, {"size": (24, 16)}, {"batch": 3}, {"flip": False}),
        *({"width": 64}, {"steps": 2}, {"seed": 1}),
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_a_training_makes_another_prior(recipe, change):
    assert recipe() == recipe()
    assert recipe(**change) != recipe()


# Already there


def test_images_of_the_target_class_are_counted_apart(task, capsys):
    task.images(3).toml(top='target = "disc"')
    code, err = outcome(task, capsys)
    assert code == 0
    rows = list(task.rows().values())
    there = [row for row in rows if row.prediction == 1]
    others = [row for row in rows if row.prediction == 0]
    assert there
    assert others
    assert all(row.already_target and not row.flipped and row.tries == 0 for row in there)
    assert not any(row.already_target for row in others)
    figures = {one["id"]: one for one in task.metrics()["metrics"]}
    share = 100 * sum(row.flipped for row in others) / len(others)
    assert figures["fr"]["value"] == pytest.approx(share)
    assert figures["fr"]["n"] == len(others)
    assert f"{len(there)} of {len(rows)} images" in err


# Classes, outputs and labels


@pytest.mark.parametrize(
    ("kinds", "factory", "words"),
    [
        (("bar", "disc", "ring"), "{ k = 2 }", "3 classes (bar, disc, ring)|2 outputs"),
        (("bar", "disc", "ring"), "{ k = 1 }", "3 classes|one output"),
        (("bar", "disc"), "{ k = 3 }", "2 classes (bar, disc)|3 outputs"),
    ],
    ids=["3 and 2", "3 and 1", "2 and 3"],
)
def test_classes_are_as_many_as_outputs(task, capsys, kinds, factory, words):
    task.images(1, kinds)
    task.toml(data="", classifier=f'factory = "clf:build"\narguments = {factory}')
    code, err = outcome(task, capsys)
    assert code == 2
    assert all(word in err for word in words.split("|"))
    assert not (task.path / "run").exists()


def test_a_target_beyond_the_classes_is_one_sentence(task, capsys):
    task.images(1).toml(top='target = "ring"')
    code, err = outcome(task, capsys)
    assert code == 2
    assert "'ring' is none of the classes bar, disc" in err


@pytest.mark.parametrize("junk", ["__MACOSX", ".thumbnails", "@eaDir", "thumbs"])
def test_folders_of_systems_are_no_classes(task, capsys, junk):
    task.images(2).toml(data="")
    save(task.path / "images" / junk / "._00.png", picture("bar", 9))
    code, err = outcome(task, capsys)
    assert code == 0
    assert {row.label for row in task.rows().values()} == {0, 1}
    assert f"left out: 1 files of an operating system or a tool (such as {junk}/._00.png)" in err


def test_numbers_in_a_list_are_the_classes(task, capsys):
    task.images(2)
    rows = {"bar/00.png": 10, "bar/01.png": 2, "disc/00.png": 0}
    text = "".join(f"{file},{label}\n" for file, label in rows.items())
    (task.path / "labels.csv").write_text("file,label\n" + text)
    eleven = 'factory = "clf:build"\narguments = { k = 11 }'
    task.toml(data='labels = "labels.csv"', classifier=eleven)
    code, err = outcome(task, capsys)
    assert code == 0
    found = {id: row.label for id, row in task.rows().items()}
    assert found == {"bar_00.png": 10, "bar_01.png": 2, "disc_00.png": 0}
    assert "1 images that labels.csv does not name (such as disc/01.png)" in err


def test_the_line_that_a_list_of_names_needs_is_printed(task, capsys):
    task.images(1)
    (task.path / "labels.csv").write_text("file,label\nbar/00.png,bar\ndisc/00.png,disc\n")
    task.toml(data='labels = "labels.csv"')
    code, err = outcome(task, capsys)
    assert code == 2
    assert 'classes = ["bar", "disc"]' in err


# What outputs mean


def test_a_sigmoid_is_refused_with_both_cures(task, capsys):
    task.images(1).toml(classifier='factory = "clf:sigmoid"')
    code, err = outcome(task, capsys)
    assert code == 2
    assert "sigmoid" in err
    assert "without it" in err
    assert 'outputs = "probabilities"' in err


@pytest.mark.parametrize("factory", ["softmax", "sigmoid"])
def test_probabilities_that_are_said_give_those_of_the_logits(task, capsys, factory):
    k = 1 if factory == "sigmoid" else 2
    task.images(2).toml(classifier=f'factory = "clf:build"\narguments = {{ k = {k} }}')
    assert outcome(task, capsys, output="plain")[0] == 0
    task.toml(classifier=f'factory = "clf:{factory}"\noutputs = "probabilities"')
    code, err = outcome(task, capsys, output="said")
    assert code == 0
    assert "loses precision" in err
    for id, row in task.rows("plain").items():
        other = task.rows("said")[id]
        assert other.target_probability_input == pytest.approx(
            row.target_probability_input, abs=1e-4
        )
        assert other.margin_input == pytest.approx(row.margin_input, abs=1e-3)


# Schedules

diffusers_network = {
    **{"sample_size": 16, "layers_per_block": 1, "block_out_channels": (32, 32)},
    **{"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2},
    "norm_num_groups": 8,
}


@pytest.fixture(scope="module")
def diffusers_prior(tmp_path_factory):
    diffusers = pytest.importorskip("diffusers")
    path = tmp_path_factory.mktemp("pipeline")
    diffusers.UNet2DModel(**diffusers_network).save_pretrained(path / "unet")
    return path


@pytest.mark.parametrize("inner", ["", "unet"])
@pytest.mark.parametrize(
    "content",
    [
        {"rescale_betas_zero_snr": True},
        {"trained_betas": [0.1] * 1000},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"beta_schedule": "scaled_linear"},
        {"beta_end": 0.03},
        {"beta_start": 0.001},
        {"prediction_type": "v_prediction"},
        {"prediction_type": "sample"},
    ],
    ids=lambda content: next(iter(content)),
)
def test_another_schedule_is_refused_wherever_it_lies(diffusers_prior, content, inner):
    folder = diffusers_prior / "scheduler"
    folder.mkdir(exist_ok=True)
    (folder / "scheduler_config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=next(iter(content))):
        load_prior(PriorPart(diffusers=diffusers_prior / inner))


# Left out


def test_every_image_is_used_or_named(task, capsys):
    task.images(1)
    used = {"bar/00.png", "disc/00.png"}
    for ending, form in ((".jfif", "JPEG"), (".ppm", "PPM"), (".jp2", "JPEG2000"), (".webp", None)):
        path = task.path / "images" / "bar" / f"more{ending}"
        save(path, picture("bar", 3), **({} if form is None else {"format": form}))
        used.add(f"bar/more{ending}")
    left = {
        "bar/2021/deeper.png": "below the class folders",
        "loose.png": "beside the class folders",
        "ring/00.png": "`classes` does not name",
        "bar/scan.heic": "kind that is not read",
        "bar/._00.png": "operating system",
    }
    for file in left:
        save(task.path / "images" / file, picture("bar", 4), format="PNG")
    code, err = outcome(task, capsys)
    assert code == 0
    assert set(task.rows()) == {file.replace("/", "_") for file in used}
    for file, reason in left.items():
        assert any(file in line and reason in line for line in err.splitlines()), file
    notes = task.folder().manifest()["data_notes"]
    assert all(any(file in note for note in notes) for file in left)


# Checkpoints


@pytest.mark.parametrize("entry", [None, "ema"])
def test_which_weights_of_a_checkpoint_are_taken_can_be_said(tmp_path, entry):
    network = import_module("torchvision").models.get_model("squeezenet1_0", num_classes=2)
    state = network.state_dict()
    averaged = {key: value + 1 for key, value in state.items()}
    torch.save({"model": state, "ema": averaged}, tmp_path / "both.pt")
    part = ClassifierPart(
        architecture="squeezenet1_0", weights=tmp_path / "both.pt", outputs=2, entry=entry
    )
    loaded = load_classifier(part)
    wanted = averaged if entry else state
    torch.testing.assert_close(loaded.network.state_dict(), wanted)
    assert any("'model'" in note or "model is taken" in note for note in loaded.notes) == (
        not entry
    )


# Classifiers


@pytest.mark.parametrize(
    ("factory", "words"),
    [("squeezed", "squeeze"), ("detached", "no gradient")],
)
def test_a_classifier_that_cannot_guide_is_refused_before_anything_is_made(
    task, capsys, factory, words
):
    task.images(1).toml(classifier=f'factory = "clf:{factory}"')
    code, err = outcome(task, capsys)
    assert code == 2
    assert words in err
    assert not (task.path / "run").exists()


@pytest.mark.parametrize("normalised", ["", "mean = [0.13]\nstd = [0.3]"])
def test_a_classifier_of_one_channel_sees_the_grey_image(task, capsys, normalised):
    task.images(2).toml(classifier=f'factory = "clf:one"\n{normalised}')
    code, err = outcome(task, capsys)
    assert code == 2
    assert "say channels = 1" in err
    task.toml(classifier=f'factory = "clf:one"\nchannels = 1\n{normalised}')
    assert outcome(task, capsys)[0] == 0
    for id, pixels in task.inputs().items():
        grey = pixels.mean(axis=0) / 255
        x = torch.from_numpy((grey - 0.13) / 0.3 if normalised else 2 * grey - 1).float()[
            None, None
        ]
        window = torch.nn.functional.avg_pool2d(x, 8, stride=1).mean() * 64
        row = task.rows()[id]
        margin = 0.2 * float(window) * (1 if row.target == 1 else -1)
        assert row.margin_input == pytest.approx(margin, abs=1e-4)


def test_a_size_that_the_prior_cannot_do_names_one_that_works(task, capsys):
    task.images(1).toml()
    task.config.write_text(task.config.read_text().replace("size = 16", "size = 17"))
    code, err = outcome(task, capsys)
    assert code == 2
    assert "say size = 18 in [data]" in err
    assert not (task.path / "run").exists()


def test_a_rule_without_parameters_is_its_code(task, capsys):
    task.images(1).toml(classifier='factory = "clf:rule"')
    assert outcome(task, capsys)[0] == 0
    digest = task.folder().network_digest("classifier")
    assert digest != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    code = task.path / "clf.py"
    code.write_text(code.read_text().replace("10 *", "11 *"))
    assert outcome(task, capsys)[0] == 2


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning", "ignore::DeprecationWarning")
def test_a_frozen_torchscript_file_is_its_content(task, capsys):
    part = read_custom(task.config)[0].classifier
    network = load_classifier(part).network
    for name, scale in (("one", 0.0), ("two", 1.0)):
        with torch.no_grad():
            network.slopes.add_(scale)
        traced = torch.jit.trace(network, torch.zeros(2, 3, 16, 16))
        torch.jit.freeze(traced).save(str(task.path / f"{name}.ts"))
    digests = []
    for name in ("one", "two"):
        task.images(1).toml(classifier=f'torchscript = "{name}.ts"')
        assert outcome(task, capsys, output=name)[0] == 0
        digests.append(task.folder(name).network_digest("classifier"))
    assert digests[0] != digests[1]


# Names


def test_names_that_files_dislike_keep_their_images_apart(task, capsys):
    task.images(1)
    names = ["图像.png", "画像.png", "a b.png", "a_b.png", "x" * 240 + ".png", "y" * 205 + ".png"]
    for number, name in enumerate(names):
        save(task.path / "images" / "bar" / name, picture("bar", 10 + number))
    code, err = outcome(task, capsys)
    assert code == 0, err
    found = task.inputs()
    assert len(found) == len(names) + 2
    assert all(id.isascii() and len(id) <= 200 for id in found)
    pixels = {pixels.tobytes() for pixels in found.values()}
    assert len(pixels) == len(found)


# Nothing is downloaded


@pytest.mark.parametrize("architecture", ["fasterrcnn_resnet50_fpn", "fcn_resnet50", "nothing"])
def test_no_architecture_fetches_anything(tmp_path, monkeypatch, architecture):
    def refuse(*words, **more):
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    part = ClassifierPart(architecture=architecture, weights=tmp_path / "w.safetensors", outputs=2)
    with pytest.raises(UserError, match=f"no classifier '{architecture}'"):
        load_classifier(part)


@pytest.mark.parametrize("name", ["google/ddpm-celebahq-256", "missing"])
def test_a_diffusers_name_is_a_folder_or_refused(tmp_path, monkeypatch, name):
    def refuse(*words, **more):
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(UserError, match=name.split("/")[-1]):
        load_prior(PriorPart(diffusers=tmp_path / name))


# Check


def test_check_says_all_of_it_without_running(task, capsys):
    task.images(2).toml(classifier='factory = "clf:softmax"')
    save(task.path / "images" / "loose.png", picture("bar", 3))
    save(
        task.path / "images" / "bar" / "deep.png", picture("bar", 5).mean(2).astype(np.uint16) * 257
    )
    assert task.call("check", "--config", task.config) == 0
    out, err = capsys.readouterr()
    assert "5 in" in out
    assert "bar 3, disc 2" in out
    assert "beside the class folders (such as loose.png)" in out
    assert "16 bits are scaled" in out
    assert "without its softmax" in out
    assert "5 images in 2 batches of 4" in out
    assert f"ready: vcebench run --config {task.config}" in err
    assert {path.name for path in task.path.iterdir()} == {
        *("clf.py", "images", "own.toml", "prior.safetensors")
    }


@pytest.mark.parametrize("damage", ["cut PNG", "cut JPEG", "empty", "float", "no image"])
def test_check_finds_a_file_that_would_stop_the_run(task, capsys, damage):
    task.images(2)
    path = task.path / "images" / "bar" / ("x.jpg" if "JPEG" in damage else "x.png")
    if damage == "float":
        path = path.with_suffix(".tif")
        save(path, picture("bar", 3).mean(2).astype(np.float32))
    elif damage == "no image":
        path.write_bytes(b"<html>not found</html>")
    else:
        whole = save(path, picture("bar", 3)).read_bytes()
        path.write_bytes(b"" if damage == "empty" else whole[: len(whole) // 2])
    assert task.call("check", "--config", task.config) == 1
    out, err = capsys.readouterr()
    assert f"wrong     images: {path}" in out
    assert "not ready: images" in err
    assert "ok        prior" in out


@pytest.mark.parametrize(
    ("old", "new", "item", "words"),
    [
        ('"images"', '"nowhere"', "images", "no folder"),
        ("clf:build", "clf:nothing", "classifier", "nothing"),
        ('"prior.safetensors"', '"other.safetensors"', "prior", "other.safetensors"),
        ("clf:build", "clf:sigmoid", "run", "sigmoid"),
        ("clf:build", "clf:detached", "run", "no gradient"),
        ("size = 16", 'size = "16"', "file", "data.size is '16'"),
        ("tau = 3", 'tau = "3"', "run", "tau is '3'"),
        ("tau = 3", "tau = 3\nbatch_size = 2.5", "file", "no TOML|run.batch_size"),
        ("tau = 3", "taus = 3", "run", "no setting 'taus'"),
    ],
)
def test_check_names_what_is_wrong(task, capsys, old, new, item, words):
    task.images(1)
    task.config.write_text(task.config.read_text().replace(old, new))
    assert task.call("check", "--config", task.config) == 1
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    (line,) = [line for line in out.splitlines() if line.startswith(f"wrong     {item}:")]
    assert any(word in line for word in words.split("|"))


def test_check_looks_at_one_thing(task, capsys):
    assert task.call("check") == 2
    assert task.call("check", "--config", task.config, "--dataset", "digits") == 2
    assert "one thing to look at" in capsys.readouterr().err


def test_the_prior_of_these_tests_is_always_the_same(tmp_path):
    paths = [write_prior(tmp_path / f"{n}.safetensors") for n in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
