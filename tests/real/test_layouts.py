"""Data sets in the layouts of their publishers: splits, labels, sizes, crops."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as reference

from vcebench.data import index as indices
from vcebench.data.base import HasAttributes
from vcebench.data.celeba import read_attributes
from vcebench.data.files import Geometry
from vcebench.data.listed import UNLABELLED
from vcebench.data.registry import open_dataset
from vcebench.errors import UserError


@pytest.mark.parametrize(("form", "nested"), [("txt", False), ("csv", False), ("csv", True)])
def test_celeba_in_both_forms(celeba_tree, form, nested):
    images = open_dataset("celeba", "smile", root=celeba_tree(form, nested))
    assert images.split == "val"
    assert [images[i].id for i in range(len(images))] == ["162771", "162772"]
    assert images[0].image.shape == (3, 128, 128)
    assert images[0].image.dtype == torch.uint8


def test_celeba_label_is_the_attribute_of_the_task(celeba_tree):
    root = celeba_tree()
    for task, attribute in (("smile", "Smiling"), ("age", "Young")):
        images = open_dataset("celeba", task, "train", root)
        assert isinstance(images, HasAttributes)
        column = images.attribute_names.index(attribute)
        labels = [images[i].label for i in range(len(images))]
        assert labels == list(images.attributes(range(len(images)))[:, column])


def test_root_may_be_the_folder_of_the_data_set_or_come_from_the_environment(
    celeba_tree, monkeypatch
):
    root = celeba_tree()
    assert len(open_dataset("celeba", root=root / "celeba")) == 2
    monkeypatch.setenv("VCEBENCH_DATA", str(root))
    assert len(open_dataset("celeba")) == 2


def test_celeba_crop_is_that_of_the_papers(celeba_tree):
    root = celeba_tree()
    with Image.open(root / "celeba" / "img_align_celeba" / "162771.jpg") as picture:
        expected = reference.center_crop(
            reference.resize(picture, 128, reference.InterpolationMode.BILINEAR), [128, 128]
        )
    found = open_dataset("celeba", root=root)[0].image
    assert np.array_equal(found.permute(1, 2, 0).numpy(), np.array(expected))


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (333, 256), (100, 257), (256, 256)])
def test_crop_is_torchvisions_resize_and_centre_crop(size):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    expected = reference.center_crop(reference.resize(picture, 256), [256, 256])
    assert np.array_equal(np.array(Geometry(256, 256).apply(picture)), np.array(expected))


def test_celebahq_split_follows_the_mapping(celebahq_tree):
    ids = {
        split: [example.id for example in open_dataset("celebahq", "age", split, celebahq_tree)]
        for split in ("train", "val", "test")
    }
    assert ids == {"train": ["0"], "val": ["1"], "test": ["2"]}
    assert open_dataset("celebahq", root=celebahq_tree)[0].image.shape == (3, 256, 256)


def test_bdd100k_is_unlabelled_and_the_whole_frame(bdd_tree):
    images = open_dataset("bdd100k", root=bdd_tree)
    assert len(images) == 2
    assert images[0].label == UNLABELLED
    assert images[0].image.shape == (3, 256, 512)
    path = bdd_tree / "bdd100k/images/100k/val/b1c66a42-6f7d68ca.jpg"
    with Image.open(path) as picture:
        expected = np.array(picture.resize((512, 256), Image.Resampling.BICUBIC))
    assert np.array_equal(images[0].image.permute(1, 2, 0).numpy(), expected)


def test_bddoia_takes_the_first_action_and_leaves_confused_frames_out(bdd_tree):
    images = open_dataset("bddoia", root=bdd_tree)
    assert [(images[i].id, images[i].label) for i in range(len(images))] == [("a", 1), ("b", 0)]


def test_imagenet_pairs_take_turns(imagenet_tree):
    images = open_dataset("imagenet", "cougar-cheetah", root=imagenet_tree)
    assert images.split == "train"
    assert [images[i].label for i in range(len(images))] == [286, 293, 286, 293]
    assert {images[i].image.shape for i in range(len(images))} == {(3, 256, 256)}
    assert len({images[i].id for i in range(len(images))}) == 4


def test_imagenet_may_be_a_bare_folder_of_synsets(imagenet_tree):
    root = imagenet_tree / "imagenet" / "train"
    assert len(open_dataset("imagenet", "sorrel-zebra", "val", root)) == 4


def test_index_is_parsed_once_and_again_when_the_list_changes(celeba_tree, monkeypatch):
    root = celeba_tree()
    open_dataset("celeba", root=root)
    with monkeypatch.context() as patch:
        patch.setattr("vcebench.data.celeba.read_attributes", None)
        assert len(open_dataset("celeba", root=root)) == 2
    partition = root / "celeba" / "list_eval_partition.txt"
    partition.write_text(partition.read_text().replace("000001.jpg 0", "000001.jpg  1"))
    assert len(open_dataset("celeba", root=root)) == 3


def test_index_needs_no_cache_folder(celeba_tree, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(indices, "cache_folder", lambda: tmp_path / "file")
    assert len(open_dataset("celeba", root=celeba_tree())) == 2


@pytest.mark.parametrize("name", ["celeba", "celebahq", "bdd100k", "bddoia", "imagenet"])
def test_without_data_it_is_said_what_to_fetch_and_where_to_put_it(name, tmp_path):
    with pytest.raises(UserError, match=r"get .*--data-root FOLDER .*vcebench check --dataset"):
        open_dataset(name)
    with pytest.raises(UserError, match=r"get .*nowhere/"):
        open_dataset(name, root=tmp_path / "nowhere")
    with pytest.raises(UserError, match="get "):
        open_dataset(name, root=tmp_path)


def test_missing_list_is_named(celeba_tree):
    root = celeba_tree()
    (root / "celeba" / "list_eval_partition.txt").unlink()
    with pytest.raises(UserError, match=r"the splits is missing: get .*list_eval_partition.txt"):
        open_dataset("celeba", root=root)


WRONG_ATTRIBUTES = {
    "empty": "",
    "another list": "000001.jpg 1\n000002.jpg 0\n",
    "html": "<html><body>Quota exceeded</body></html>\n",
    "cut row": "1\nSmiling Young\n000001.jpg 1 -1\n000002.jpg 1 -1 1\n",
    "three attributes": "1\nSmiling Young Male\n000001.jpg 1 -1 1\n",
}


@pytest.mark.parametrize("content", WRONG_ATTRIBUTES.values(), ids=WRONG_ATTRIBUTES)
def test_wrong_attribute_file_is_refused(tmp_path, content):
    path = tmp_path / "list_attr_celeba.txt"
    path.write_text(content)
    with pytest.raises(UserError, match="not the list it should be") as caught:
        read_attributes(path)
    assert "\n" not in str(caught.value)


def test_attribute_values_are_checked(celeba_tree):
    root = celeba_tree()
    path = root / "celeba" / "list_attr_celeba.txt"
    path.write_text(path.read_text().replace("162772.jpg -1", "162772.jpg  7"))
    with pytest.raises(UserError, match=r"162772.jpg holds other values"):
        open_dataset("celeba", root=root)


def test_partition_that_lacks_a_file_is_refused(celeba_tree):
    root = celeba_tree()
    path = root / "celeba" / "list_eval_partition.txt"
    path.write_text(path.read_text().replace("162772.jpg 1\n", ""))
    with pytest.raises(UserError, match=r"nothing usable about 162772.jpg"):
        open_dataset("celeba", root=root)


def test_annotation_of_something_else_is_refused(bdd_tree):
    path = bdd_tree / "bddoia" / "lastframe" / "val_25k_images_actions.json"
    path.write_text('[{"file_name": "a.jpg", "reason": [0]}]')
    with pytest.raises(UserError, match="no action file of BDD-OIA"):
        open_dataset("bddoia", root=bdd_tree)


def test_split_without_images_is_refused(imagenet_tree, bdd_tree):
    shutil.rmtree(bdd_tree / "bdd100k" / "images" / "100k" / "val")
    (bdd_tree / "bdd100k" / "images" / "100k" / "val").mkdir()
    with pytest.raises(UserError, match="no image of the split 'val'"):
        open_dataset("bdd100k", root=bdd_tree)
