"""Data sets: their formats, their splits, and files that must not be trusted."""

from __future__ import annotations

import os
import pickle
import sys
import tarfile
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError, ImportFileError, MissingExtra
from wattmark.workloads.vision.data import Images, load
from wattmark.workloads.vision.data.images import repeated, resize, stratified

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (60, 3072), dtype=np.uint8)
LABELS = [i % 10 for i in range(60)]


def write_python_cifar10(folder):
    folder.mkdir()
    for i in range(5):
        part = {b"data": PIXELS[10 * i : 10 * i + 10], b"labels": LABELS[10 * i : 10 * i + 10]}
        (folder / f"data_batch_{i + 1}").write_bytes(pickle.dumps(part, protocol=2))
    (folder / "test_batch").write_bytes(
        pickle.dumps({b"data": PIXELS[50:], b"labels": LABELS[50:]}, protocol=2)
    )
    return folder


def write_binary_cifar10(folder):
    folder.mkdir()
    records = np.hstack([np.array(LABELS, np.uint8)[:, None], PIXELS])
    for i in range(5):
        (folder / f"data_batch_{i + 1}.bin").write_bytes(records[10 * i : 10 * i + 10].tobytes())
    (folder / "test_batch.bin").write_bytes(records[50:].tobytes())
    return folder


@pytest.mark.parametrize("write", [write_python_cifar10, write_binary_cifar10])
@pytest.mark.parametrize("packed", [False, True])
def test_cifar10_is_read_in_both_published_formats_from_a_folder_or_its_archive(write, packed, tmp_path):
    path = write(tmp_path / "cifar")
    if packed:
        with tarfile.open(tmp_path / "cifar.tar.gz", "w:gz") as archive:
            archive.add(path, "cifar-10-batches")
        path = tmp_path / "cifar.tar.gz"
    data = load(f"cifar10:{path}")
    assert (data.shape, data.num_classes, len(data.train), len(data.test)) == ((3, 32, 32), 10, 50, 10)
    assert np.array_equal(data.train.pixels.reshape(50, -1), PIXELS[:50])
    assert data.test.labels.tolist() == LABELS[50:]


@pytest.mark.parametrize("binary", [False, True])
def test_cifar100_gives_the_fine_labels(binary, tmp_path):
    fine, coarse = np.arange(60) % 100, np.arange(60) % 20
    for part in ("train", "test"):
        if binary:
            records = np.hstack([coarse[:, None].astype(np.uint8), fine[:, None].astype(np.uint8), PIXELS])
            (tmp_path / f"{part}.bin").write_bytes(records.tobytes())
        else:
            content = {"data": PIXELS, "fine_labels": fine.tolist(), "coarse_labels": coarse.tolist()}
            (tmp_path / part).write_bytes(pickle.dumps(content))
    data = load(f"cifar100:{tmp_path}")
    assert data.num_classes == 100
    assert data.train.labels.tolist() == fine.tolist()


class RunsCode:
    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    "content",
    [
        {b"data": RunsCode(), b"labels": []},
        {b"data": np.array([RunsCode()], object), b"labels": []},
        {b"data": np.zeros((2, 5), np.uint8), b"labels": [0, 1]},
        {b"data": np.zeros((2, 3072)), b"labels": [0, 1]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": ["a", "b"]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 10]},
        {b"data": [1, 2]},
        [1, 2],
    ],
)
def test_a_pickle_that_is_not_cifar_is_refused_and_never_run(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_python_cifar10(tmp_path / "cifar")
    (folder / "data_batch_1").write_bytes(pickle.dumps(content))
    with pytest.raises(ImportFileError):
        load(f"cifar10:{folder}")
    assert not (tmp_path / "ran").exists()


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader_of_pickles(raw):
    from wattmark.workloads.vision.data.cifar import _from_pickle

    with pytest.raises(ImportFileError):
        _from_pickle(raw, "part", 10)


def test_cifar_that_is_not_there_or_torn_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no"):
        load(f"cifar10:{tmp_path / 'absent'}")
    with pytest.raises(ConfigError, match=r"has neither data_batch_1 nor data_batch_1\.bin"):
        load(f"cifar10:{tmp_path}")
    torn = write_binary_cifar10(tmp_path / "cifar")
    (torn / "data_batch_2.bin").write_bytes(b"12345")
    with pytest.raises(ImportFileError, match="whole number of records"):
        load(f"cifar10:{torn}")
    (tmp_path / "c.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(ImportFileError, match="tar archive"):
        load(f"cifar10:{tmp_path / 'c.tar.gz'}")


def test_digits_are_real_upscaled_and_split_by_class():
    datasets = pytest.importorskip("sklearn.datasets", reason="digits come with scikit-learn")
    data = load()
    assert (data.shape, data.train.pixels.dtype) == ((3, 32, 32), np.uint8)
    assert (len(data.train), len(data.test)) == (1438, 359)
    whole = np.bincount(datasets.load_digits().target)
    assert np.abs(np.bincount(data.test.labels) - 0.2 * whole).max() <= 1
    assert np.array_equal(data.train.pixels[:, 0], data.train.pixels[:, 2])
    again, other = load("digits"), load("digits", seed=1)
    assert np.array_equal(data.test.pixels, again.test.pixels)
    assert not np.array_equal(data.test.pixels, other.test.pixels)
    small = load("digits", input_size=16, samples=100)
    assert (small.shape, len(small.train), len(small.test)) == ((3, 16, 16), 100, 25)
    with pytest.raises(ConfigError, match="no options"):
        load("digits:8")


def test_digits_name_the_extra_where_scikit_learn_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="scikit-learn"):
        load("digits")


def test_digits_are_those_of_scikit_learn_without_importing_it(monkeypatch):
    datasets = pytest.importorskip("sklearn.datasets", reason="digits come with scikit-learn")
    monkeypatch.delitem(sys.modules, "sklearn.datasets")
    own = load("digits")
    assert "sklearn.datasets" not in sys.modules
    monkeypatch.setitem(sys.modules, "sklearn.datasets", datasets)
    elsewhere = SimpleNamespace(origin=str(Path("/nowhere/sklearn/__init__.py")))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: elsewhere)
    theirs = load("digits")  # its file is not where it was: scikit-learn itself is asked
    assert np.array_equal(own.train.pixels, theirs.train.pixels)
    assert np.array_equal(own.train.labels, theirs.train.labels)


@pytest.mark.parametrize("shape", [(20, 3, 8, 8), (20, 8, 8, 3), (20, 8, 8)])
def test_npz_images_are_read_in_any_order_of_axes(shape, tmp_path):
    images = RNG.integers(0, 255, shape, dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=images, labels=np.arange(20) % 2)
    data = load(f"npz:{tmp_path / 'own.npz'}")
    channels = 1 if len(shape) == 3 else 3
    assert (data.name, data.shape, data.num_classes) == ("own", (channels, 8, 8), 2)
    assert (len(data.train), len(data.test)) == (16, 4)


def test_npz_parts_are_kept_and_other_numbers_become_float32(tmp_path):
    part = {f"{p}_images": RNG.normal(size=(n, 1, 4, 4)) for p, n in (("train", 6), ("test", 3))}
    part |= {f"{p}_labels": np.arange(n) for p, n in (("train", 6), ("test", 3))}
    np.savez(tmp_path / "own.npz", **part)
    data = load(f"npz:{tmp_path / 'own.npz'}")
    assert (len(data.train), len(data.test), data.num_classes) == (6, 3, 6)
    assert data.train.pixels.dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(1)}, "holds a"),
        ({"images": np.zeros((2, 1, 4, 4)), "labels": np.array([0.5, 1])}, "not whole numbers"),
        ({"images": np.zeros((2, 1, 4, 4)), "labels": np.array([-1, 1])}, "not whole numbers"),
        ({"images": np.array([RunsCode()], object), "labels": np.array([0])}, "plain arrays"),
    ],
)
def test_an_npz_that_is_no_data_set_is_refused(arrays, message, tmp_path):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ImportFileError, match=message):
        load(f"npz:{tmp_path / 'bad.npz'}")


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ImportFileError):
        load(f"npz:{tmp_path / 'bad.npz'}")
    with pytest.raises(ConfigError, match="there is no file"):
        load(f"npz:{tmp_path / 'absent.npz'}")


def write_images(root, classes, count):
    image = pytest.importorskip("PIL.Image", reason="folders of images need Pillow")
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(count):
            image.new("RGB", (10, 12), (50 * number, i, 0)).save(root / name / f"{i}.png")


def test_a_folder_of_images_has_a_class_for_each_folder(tmp_path):
    write_images(tmp_path / "pets", ["cat", "dog"], 5)
    data = load(f"folder:{tmp_path / 'pets'}", input_size=8)
    assert (data.shape, data.num_classes, len(data.train), len(data.test)) == ((3, 8, 8), 2, 8, 2)
    assert sorted(data.test.labels) == [0, 1]
    assert set(data.train.pixels[data.train.labels == 1][:, 0].ravel()) == {50}


def test_a_folder_with_parts_keeps_them(tmp_path):
    write_images(tmp_path / "train", ["cat", "dog"], 3)
    write_images(tmp_path / "test", ["dog"], 2)
    data = load(f"folder:{tmp_path}")
    assert (data.shape, len(data.train), data.test.labels.tolist()) == ((3, 32, 32), 6, [1, 1])
    write_images(tmp_path / "test", ["emu"], 1)
    with pytest.raises(ConfigError, match="the class 'emu'"):
        load(f"folder:{tmp_path}")


def test_folders_without_images_are_refused_with_the_reason(tmp_path):
    with pytest.raises(ConfigError, match="there is no folder"):
        load(f"folder:{tmp_path / 'absent'}")
    with pytest.raises(ConfigError, match="has no folders"):
        load(f"folder:{tmp_path}")
    (tmp_path / "cat").mkdir()
    with pytest.raises(ConfigError, match="has no images"):
        load(f"folder:{tmp_path}")


def test_a_broken_image_and_a_missing_pillow_are_named(tmp_path, monkeypatch):
    write_images(tmp_path, ["cat"], 1)
    (tmp_path / "cat" / "torn.png").write_bytes(b"no image")
    with pytest.raises(ImportFileError, match=r"torn\.png"):
        load(f"folder:{tmp_path}")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtra, match="Pillow"):
        load(f"folder:{tmp_path}")


def test_a_hugging_face_data_set_is_read_by_the_types_of_its_columns(monkeypatch):
    image = pytest.importorskip("PIL.Image", reason="Hugging Face images are Pillow's")
    picture, number = type("Image", (), {})(), type("ClassLabel", (), {"num_classes": 2})()

    class Part(list):
        features = MappingProxyType({"photo": picture, "kind": number})

        def __getitem__(self, key):
            return [row["kind"] for row in self] if key == "kind" else list.__getitem__(self, key)

    part = Part({"photo": image.new("L", (5, 5), 9), "kind": i % 2} for i in range(10))

    def load_dataset(name):
        if name == "absent":
            raise OSError("no such data set")
        return {"a/b": {"train": part, "validation": part}, "c": {"train": part}}[name]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    data = load("hf:a/b")
    assert (data.shape, data.num_classes, len(data.train), len(data.test)) == ((3, 32, 32), 2, 10, 10)
    assert len(load("hf:c").test) == 2
    with pytest.raises(ConfigError, match="no such data set"):
        load("hf:absent")
    Part.features = {"text": object()}
    with pytest.raises(ConfigError, match="no column of images"):
        load("hf:a/b")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match="datasets"):
        load("hf:a/b")


def test_synthetic_images_have_the_shape_asked_for_and_something_to_learn():
    data = load("synthetic:1x6x5,classes=3,train=90,test=30")
    assert (data.shape, data.num_classes, len(data.train), len(data.test)) == ((1, 6, 5), 3, 90, 30)
    means = np.stack([data.train.pixels[data.train.labels == k].mean(0) for k in range(3)])
    nearest = ((data.test.pixels[:, None] - means) ** 2).sum((2, 3, 4)).argmin(1)
    assert (nearest == data.test.labels).mean() > 0.9
    assert load("synthetic").shape == (3, 32, 32)
    assert load("synthetic:train=20").train.pixels.shape == (20, 3, 32, 32)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mnist", "no data set named"),
        ("npz", "does not say where"),
        ("synthetic:3x32", "does not describe"),
        ("synthetic:classes=0", "size of zero"),
    ],
)
def test_a_name_that_means_nothing_is_refused(spec, message):
    with pytest.raises(ConfigError, match=message):
        load(spec)


def test_sizes_below_one_are_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        load("synthetic", samples=0)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.data())
def test_a_stratified_choice_has_the_size_asked_for_and_each_class_in_proportion(labels, draw):
    labels = np.array(labels)
    count = draw.draw(st.integers(1, len(labels)))
    chosen = stratified(labels, count, 0)
    assert len(set(chosen.tolist())) == count
    for k in np.unique(labels):
        share = count * (labels == k).sum() / len(labels)
        assert abs((labels[chosen] == k).sum() - share) < 1


@given(st.integers(1, 7), st.integers(1, 30))
def test_repeating_goes_through_the_images_in_order(size, length):
    images = Images(np.zeros((size, 1, 1, 1), np.uint8), np.arange(size))
    assert repeated(images, length).labels.tolist() == [i % size for i in range(length)]


def test_normalisation_gives_each_channel_mean_zero_and_deviation_one():
    pixels = RNG.integers(0, 255, (30, 2, 4, 4), dtype=np.uint8)
    pixels[:, 1] = 7
    data = load("synthetic:2x4x4,train=30,test=10")
    mean, std = type(data)("x", Images(pixels, data.train.labels), data.test, 10, "").normalisation()
    normal = (pixels - mean) / std
    assert normal[:, 0].mean() == pytest.approx(0, abs=1e-5)
    assert normal[:, 0].std() == pytest.approx(1, abs=1e-5)
    assert not normal[:, 1].any()


def test_resizing_keeps_constants_ramps_and_types():
    assert (resize(np.full((1, 1, 5, 7), 9, np.uint8), 3) == 9).all()
    ramp = np.tile(np.arange(8, dtype=np.float32), (1, 1, 8, 1))
    bigger = resize(ramp, 16)
    assert bigger.dtype == np.float32
    assert np.allclose(bigger[0, 0, 0, 1:-1], np.arange(1, 15) * 0.5 - 0.25)
    assert np.array_equal(resize(ramp, 8), ramp)


@pytest.mark.parametrize(
    ("pixels", "labels"),
    [
        (np.zeros((2, 3, 3), np.uint8), np.zeros(2, int)),
        (np.zeros((2, 1, 3, 3)), np.zeros(2, int)),
        (np.zeros((2, 1, 3, 3), np.uint8), np.zeros(3, int)),
    ],
)
def test_images_and_labels_that_do_not_fit_are_refused(pixels, labels):
    with pytest.raises(ConfigError):
        Images(pixels, labels)
