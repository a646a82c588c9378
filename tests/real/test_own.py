"""A task of somebody's own, from a folder of images to a row of metrics."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.models import get_model

from vcebench.cli import main
from vcebench.errors import UserError
from vcebench.folders.runfolder import RunFolder
from vcebench.models.own_classifier import load_classifier
from vcebench.models.own_prior import load_prior
from vcebench.settings.custom import read_custom
from vcebench.weights.shipped import NetworkFileError

MODEL = """
import torch
from torch import nn

class Warmth(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(-3, 3, outputs))

    def forward(self, x):
        return (x[:, 0] - x[:, 2]).mean(dim=(1, 2))[:, None] * self.scale

def build(outputs=2):
    return Warmth(outputs)

def broken():
    raise RuntimeError("no such checkpoint")
"""

TOML = """
name = "fruit"
{top}
[data]
folder = "images"
size = [32, 40]
{data}
[classifier]
{classifier}
[prior]
trained = "prior/prior.safetensors"
[run]
method = "maskdime"
tau = 2
batch_size = 2
lambda_class = [8.0]
lambda_perceptual = 0
"""


def picture(seed, width, height, mode="RGB"):
    noise = np.random.default_rng(seed).integers(0, 60, (height, width, 3))
    y, x = np.mgrid[:height, :width]
    disc = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2
    colour = np.array([180, 60, 20]) if seed % 2 else np.array([20, 60, 180])
    return Image.fromarray((noise + disc[..., None] * colour).astype(np.uint8)).convert(mode)


def draw_folder(folder):
    """Two classes: wide, tall, grey and palette images among them."""
    for name, seed in (("plum", 0), ("cherry", 1)):
        (folder / name).mkdir(parents=True)
        picture(seed, 50, 41).save(folder / name / "wide one.png")
        picture(seed + 2, 37, 64, "L").save(folder / name / "grey.png")
        picture(seed + 4, 44, 44, "P").save(folder / name / "palette.gif")


@pytest.fixture
def own(tmp_path):
    """Images and a classifier of somebody's own."""
    draw_folder(tmp_path / "images")
    (tmp_path / "warmth_model.py").write_text(MODEL)
    return tmp_path


def written(own, classifier='factory = "warmth_model:build"', data="", top=""):
    path = own / "mine.toml"
    path.write_text(TOML.format(classifier=classifier, data=data, top=top))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A prior of the same images, trained for two steps."""
    base = tmp_path_factory.mktemp("trained")
    draw_folder(base / "images")
    train = ["train", "prior", "--data", base / "images", "--size", "32x40", "--width", "32"]
    train += ["--steps", "2", "--batch-size", "2", "--output", base / "prior"]
    assert main([str(word) for word in train]) == 0
    return base / "prior"


@pytest.fixture
def prior(own, trained):
    (own / "prior").symlink_to(trained)


def run(own, *more):
    output = own / "run"
    arguments = ["run", "--config", own / "mine.toml", "--output", output, *more]
    return main([str(word) for word in arguments]), output


def test_from_images_to_metric_row(own, prior, capsys):
    written(own, data='classes = ["plum", "cherry"]', top='target = "cherry"')
    code, output = run(own, "--format", "json")
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert json.loads(captured.out)
    assert "fruit" in captured.out
    names = sorted(path.name for path in (output / "counterfactuals").iterdir())
    assert "plum_wide_one.png" in names
    metrics = json.loads((output / "metrics.json").read_text())
    assert len(names) + metrics["already_target"] == 6  # two are predicted as cherry as they are
    with Image.open(output / "counterfactuals" / names[0]) as image:
        assert image.size == (40, 32)
    metrics = json.loads((output / "metrics.json").read_text())
    text = json.dumps(metrics)
    assert "warmth_model:build" in text
    assert "pytorch-fid Inception-v3 is missing" in text
    code = main(["evaluate", str(output)])
    assert code == 2
    assert "--config" in capsys.readouterr().err
    assert main(["evaluate", str(output), "--config", str(own / "mine.toml")]) == 0


def test_a_bridge_of_ones_own_and_masks_beside_the_file(own, prior, capsys):
    """Both in the file, the masks relative to it; a method on a bridge needs no prior."""
    train = ["train", "bridge", "--data", own / "images", "--size", "32x40", "--width", "32"]
    train += ["--steps", "2", "--batch-size", "2", "--output", own / "networks"]
    assert main([str(word) for word in train]) == 0
    path = written(own)
    path.write_text(
        path.read_text().partition("[prior]")[0]
        + '[bridge]\ntrained = "networks/bridge.safetensors"\n[run]\nmethod = "rcsb-c"\nmoves = 3\n'
        + 'batch_size = 2\nregion = "masks"\n'
    )
    (own / "masks").mkdir()
    mask = np.zeros((32, 40), np.uint8)
    mask[8:24, 10:30] = 1
    for name in ("plum", "cherry"):
        for file in (own / "images" / name).iterdir():
            Image.fromarray(mask).save(own / "masks" / f"{name}_{file.name.replace(' ', '_')}.png")
    code, output = run(own)
    assert code == 0, capsys.readouterr().err
    folder = RunFolder(output)
    assert len(folder.rows()) == 6
    for row in folder.rows():
        assert (row.nfe, row.backward) == (3, 3)
        assert torch.equal(folder.region(row), torch.from_numpy(mask > 0))
    assert set(folder.manifest()["networks"]) >= {"classifier", "bridge"}
    path.write_text(path.read_text().replace("rcsb-c", "maskdime").replace("moves = 3\n", ""))
    assert run(own, "--output", own / "other", "--lambda-perceptual", "0")[0] == 2
    assert "has no section [prior]" in capsys.readouterr().err


def test_a_prior_is_no_bridge(own, prior, capsys):
    text = written(own).read_text().replace("[prior]", "[bridge]").partition("[run]")[0]
    (own / "mine.toml").write_text(text)
    assert run(own, "--method", "rcsb-c")[0] == 2
    assert "prior.safetensors is no bridge; make one with" in capsys.readouterr().err


def test_bad_images_are_skipped_and_listed_in_the_manifest(own, prior, capsys):
    written(own)
    damaged = own / "images" / "plum" / "grey.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:200])
    code, output = run(own)
    assert code == 2
    assert "grey.png cannot be decoded" in capsys.readouterr().err
    code, output = run(own, "--skip-bad")
    assert code == 0
    manifest = json.loads((output / "manifest.json").read_text())
    assert [reason.split("/")[-1][:8] for reason in manifest["skipped"].values()] == ["grey.png"]
    assert len(list((output / "counterfactuals").iterdir())) == 5
    assert run(own, "--skip-bad")[0] == 0  # finished: nothing is begun
    assert json.loads((output / "manifest.json").read_text()) == manifest
    damaged.write_bytes(whole)  # put right: it is explained too
    assert run(own, "--skip-bad")[0] == 0
    assert len(list((output / "counterfactuals").iterdir())) == 6


def test_csv_instead_of_folders(own):
    (own / "labels.csv").write_text("file,label\nplum/grey.png,plum\ncherry/grey.png,cherry\n")
    task, _ = read_custom(written(own, data='labels = "labels.csv"\nclasses = ["plum", "cherry"]'))
    images = task.open()
    assert [(images[i].id, images[i].label) for i in range(2)] == [
        ("plum_grey.png", 0),
        ("cherry_grey.png", 1),
    ]
    assert images[0].image.shape == (3, 32, 40)


def test_images_without_classes_are_unlabelled(own):
    task, _ = read_custom(written(own))
    flat = task.model_copy(
        update={"data": task.data.model_copy(update={"folder": own / "images" / "plum"})}
    )
    assert {flat.open()[i].label for i in range(3)} == {-1}


@pytest.mark.parametrize(("fit", "corner"), [("crop", False), ("stretch", False), ("pad", True)])
def test_fit_decides_about_the_borders(own, fit, corner):
    task, _ = read_custom(written(own, data=f'fit = "{fit}"'))
    images = task.open()
    grey = next(i for i in range(len(images)) if images.files[i].endswith("grey.png"))
    assert bool((images[grey].image[:, :, 0] == 0).all()) is corner


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_torchscript_and_torchvision_classifiers(own):
    network = get_model("resnet18", weights=None, num_classes=3).eval()
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, own / "resnet.safetensors")
    torch.jit.script(network).save(str(own / "resnet.ts"))
    vision = 'architecture = "resnet18"\nweights = "resnet.safetensors"\noutputs = 3'
    x = torch.rand(1, 3, 32, 40)
    found = []
    for classifier in (vision, 'torchscript = "resnet.ts"'):
        part = read_custom(written(own, classifier))[0].classifier
        read = load_classifier(part)
        loaded, name = read.network, read.name
        assert name
        found.append(loaded(x))
    torch.testing.assert_close(found[0], network(x))
    torch.testing.assert_close(found[1], network(x))


def test_normalisation_is_put_before_the_network(own):
    classifier = 'factory = "warmth_model:build"\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]'
    part = read_custom(written(own, classifier))[0].classifier
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    plain = load_classifier(part.model_copy(update={"mean": None, "std": None})).network
    torch.testing.assert_close(load_classifier(part).network(x), plain(x))


def test_guided_diffusion_checkpoint_with_its_flags(own, golden):
    flags, state, check = golden
    torch.save(state, own / "tiny.pt")
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in flags.items())
    path = written(own)
    text = path.read_text().replace('trained = "prior/prior.safetensors"', "{}")
    path.write_text(text.replace("{}", f'checkpoint = "tiny.pt"\n[prior.flags]\n{lines}'))
    prior = load_prior(read_custom(path)[0].prior).prior
    with torch.no_grad():
        output = prior.network(check["x"], check["t"])
    torch.testing.assert_close(output, check["unet_output"], atol=1e-5, rtol=0)
    assert len(prior.schedule) == 200


BAD = {
    "no data": ("[data]", "[date]", "data"),
    "unknown key": ("size = [", "sizes = [", "size"),
    "tiny size": ("size = [32, 40]", "size = 4", "size"),
    "two classifiers": ("[classifier]", '[classifier]\ntorchscript = "x.ts"', "one of factory"),
    "no TOML": ("[data]", "[data", "no TOML"),
    "unknown class": ("[data]", '[data]\nclasses = ["plum", "pear"]', "'pear'"),
    "unknown target": ("name =", 'target = "pear"\nname =', "'pear'"),
    "taken name": ('"fruit"', '"celeba"', "celeba"),
    "no folder": ('folder = "images"', 'folder = "image"', "no folder"),
    "no factory": ("warmth_model:build", "warmth_model", "package.module:function"),
    "failing factory": ("warmth_model:build", "warmth_model:broken", "no such checkpoint"),
    "missing factory": ("warmth_model:build", "cold_model:build", "cold_model"),
    "no prior": ("prior/prior", "prior/other", "other.safetensors is missing"),
    "unknown setting": ("tau = 2", "taau = 2", "taau"),
    "no VGG-19": ("lambda_perceptual = 0", "", "VGG-19"),
}


@pytest.mark.parametrize(("old", "new", "text"), BAD.values(), ids=BAD)
def test_bad_files_are_one_line_and_code_2(own, prior, capsys, old, new, text):
    path = written(own)
    content = path.read_text()
    assert content.count(old) == 1
    path.write_text(content.replace(old, new))
    capsys.readouterr()
    code, output = run(own)
    err = capsys.readouterr().err
    assert code == 2, err
    assert text in err
    assert err.count("\n") == 1
    assert not output.exists()


def test_config_brings_its_own_data(own, capsys):
    written(own)
    code, _ = run(own, "--dataset", "digits")
    assert code == 2
    assert "leave --dataset" in capsys.readouterr().err


def test_run_needs_method_and_data_set(capsys):
    assert main(["run", "--dataset", "digits"]) == 2
    assert "--method ID" in capsys.readouterr().err
    assert main(["run", "--method", "dime"]) == 2
    assert "--dataset ID, or --config" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "--data FOLDER"),
        (("--data", "nowhere"), "no folder"),
        (("--data", ".", "--size", "20"), "multiples of 8"),
        (("--data", ".", "--size", "large"), "write 64"),
        (("--data", ".", "--width", "40"), "multiple of 32"),
    ],
)
def test_bad_training_requests_are_refused(arguments, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    assert main(["train", "prior", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_classifier_of_another_architecture_is_refused(own):
    save_file({"fc.weight": torch.zeros(2, 512)}, own / "other.safetensors")
    part = read_custom(
        written(own, 'architecture = "resnet18"\nweights = "other.safetensors"\noutputs = 2')
    )[0].classifier
    with pytest.raises(UserError, match=r"no resnet18: \d+ missing keys"):
        load_classifier(part)


def test_pickled_classifier_is_refused(own):
    torch.save(nn.Linear(2, 2), own / "pickled.pt")
    part = read_custom(
        written(own, 'architecture = "resnet18"\nweights = "pickled.pt"\noutputs = 2')
    )[0].classifier
    with pytest.raises(NetworkFileError, match="nothing in it was executed"):
        load_classifier(part)
