"""Architectures: stock classes load what is saved, weights are checked, padding changes nothing."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

from nucleobert import models
from nucleobert.errors import InputError
from nucleobert.tokens import encode, model_inputs

SIZES = {"hidden": 16, "layers": 2, "heads": 2, "intermediate": 32, "dropout": 0.1}
CNN = {"filters": 4, "width": 5, "dropout": 0.2}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def sequences(lengths: list[int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 4, length, dtype=np.uint8) for length in lengths]


def logits(model: torch.nn.Module, name: str, codes: list[np.ndarray], k: int | None) -> np.ndarray:
    with torch.no_grad():
        return models.logits_of(model.eval(), models.ARCHITECTURES[name].inputs(codes, k)).numpy()


def test_stock_sequence_classification_gives_the_same_logits(tmp_path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = models.ARCHITECTURES["bert"].build(SIZES, 3)
    models.save_classifier(model, tmp_path, "bert", 3, "center")
    stock = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    sequence = "ACGTTGCAAGT"
    text = " ".join(sequence[i : i + 3] for i in range(len(sequence) - 2))
    with torch.no_grad():
        got = stock(**AutoTokenizer.from_pretrained(tmp_path)(text, return_tensors="pt")).logits
    assert got.shape == (1, 1)
    assert got[0, 0].item() == pytest.approx(logits(model, "bert", [encode(sequence)], 3)[0], abs=1e-6)
    assert json.loads((tmp_path / "config.json").read_text())["kmer"] == 3


def test_stock_masked_lm_gives_the_same_logits_and_warns_of_nothing(tmp_path) -> None:
    from transformers import AutoModelForMaskedLM

    model = models.masked_language_model(SIZES, 4).eval()
    models.save_bert(model, tmp_path, 4)
    stock, report = AutoModelForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    batch = models.token_inputs(model_inputs(sequences([40]), 4))
    with torch.no_grad():
        assert torch.equal(stock.eval()(**batch).logits, model(**batch).logits)


def test_the_head_on_masked_positions_only_gives_the_stock_loss() -> None:
    model = models.masked_language_model(SIZES, 3).eval()
    batch = models.token_inputs(model_inputs(sequences([30, 22]), 3))
    labels = torch.full(batch["input_ids"].shape, -100)
    labels[0, 4:7] = labels[1, 2] = 11
    with torch.no_grad():
        assert models.MaskedLoss(model)(labels, **batch).item() == pytest.approx(
            model(**batch, labels=labels).loss.item(), rel=1e-5
        )
        assert models.MaskedLoss(model)(torch.full_like(labels, -100), **batch).item() == 0


@pytest.mark.parametrize(("name", "sizes", "k"), [("bert", SIZES, 3), ("bert", SIZES, 6), ("cnn", CNN, None)])
def test_padding_does_not_change_a_logit_and_files_round_trip(tmp_path, name, sizes, k) -> None:
    codes = sequences([50, 20, 33])
    model = models.ARCHITECTURES[name].build(sizes, k)
    together = logits(model, name, codes, k)
    assert together == pytest.approx([logits(model, name, [c], k)[0] for c in codes], abs=1e-5)
    models.save_classifier(model, tmp_path, name, k, "end")
    loaded, loaded_k = models.load_classifier(tmp_path)
    assert loaded_k == k
    assert not loaded.training
    assert logits(loaded, name, codes, k).tolist() == together.tolist()
    assert json.loads((tmp_path / "arm.json").read_text()) == {"architecture": name, "k": k, "crop": "end"}


@pytest.mark.parametrize("width", [4, 5])
def test_cnn_equals_a_slow_direct_computation(width: int) -> None:
    model = models.Cnn(filters=3, width=width, dropout=0.0).eval()
    sequence = "ACGTNGGATC"
    one_hot = np.array([[letter == base for letter in sequence] for base in "ATCG"], dtype=float)
    weight = model.convolution.weight.detach().numpy().astype(float)
    bias = model.convolution.bias.detach().numpy().astype(float)
    padded = np.pad(one_hot, ((0, 0), (width // 2, width)))
    found = np.array(
        [
            [max(0.0, (w * padded[:, i : i + width]).sum() + b) for i in range(10)]
            for w, b in zip(weight, bias, strict=True)
        ]
    )
    pooled = np.concatenate([found.max(1), found.mean(1)])
    expected = model.output.weight.detach().numpy()[0] @ pooled + model.output.bias.item()
    assert logits(model, "cnn", [encode(sequence)], None)[0] == pytest.approx(expected, abs=1e-5)


def test_every_weight_of_the_encoder_comes_from_the_pretrained_folder(tmp_path) -> None:
    pretrained = models.masked_language_model(SIZES, 3)
    models.save_bert(pretrained, tmp_path, 3)
    model = models.from_pretrained_encoder(tmp_path, 3, dropout=0.3)
    encoder = {n: w for n, w in model.state_dict().items() if n.startswith("bert.") and ".pooler." not in n}
    assert {n: w for n, w in pretrained.state_dict().items() if n.startswith("bert.")}.keys() == encoder.keys()
    assert all(torch.equal(w, pretrained.state_dict()[n]) for n, w in encoder.items())
    assert model.config.hidden_dropout_prob == 0.3
    assert model.config.attention_probs_dropout_prob == 0
    assert models.ARCHITECTURES["bert"].build(SIZES, 3).state_dict().keys() == model.state_dict().keys()


def test_a_folder_of_another_k_is_refused(tmp_path) -> None:
    models.save_bert(models.masked_language_model(SIZES, 3), tmp_path, 3)
    with pytest.raises(InputError, match="not the vocabulary of k = 4"):
        models.from_pretrained_encoder(tmp_path, 4, dropout=0.1)


def test_missing_and_unexpected_weights_are_refused(tmp_path) -> None:
    models.save_bert(models.masked_language_model(SIZES, 3), tmp_path, 3)
    path = tmp_path / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    lost = "bert.encoder.layer.1.output.dense.weight"
    safetensors.torch.save_file({n: w for n, w in weights.items() if n != lost}, path, {"format": "pt"})
    with pytest.raises(InputError, match=f"1 weights missing \\({lost}"):
        models.from_pretrained_encoder(tmp_path, 3, dropout=0.1)
    safetensors.torch.save_file(weights | {"bert.encoder.layer.2.bias": torch.zeros(2)}, path, {"format": "pt"})
    with pytest.raises(InputError, match=r"1 weights unexpected"):
        models.from_pretrained_encoder(tmp_path, 3, dropout=0.1)
    safetensors.torch.save_file(weights | {lost: torch.zeros(3, 3)}, path, {"format": "pt"})
    with pytest.raises(InputError, match="1 weights of another shape"):
        models.from_pretrained_encoder(tmp_path, 3, dropout=0.1)
    path.unlink()
    with pytest.raises(InputError, match="does not exist"):
        models.from_pretrained_encoder(tmp_path, 3, dropout=0.1)


def test_heads_must_divide_hidden() -> None:
    with pytest.raises(InputError, match="hidden 16 does not divide by heads 3"):
        models.bert_config(SIZES | {"heads": 3}, 3)


def test_crop_keeps_the_named_end() -> None:
    codes = np.arange(10, dtype=np.uint8)
    assert models.crop(codes, 4, "start").tolist() == [0, 1, 2, 3]
    assert models.crop(codes, 4, "center").tolist() == [3, 4, 5, 6]
    assert models.crop(codes, 4, "end").tolist() == [6, 7, 8, 9]
    assert models.crop(codes, 10, "end") is codes
    assert models.crop(codes, None, "end") is codes


def test_the_classifier_takes_embeddings(tmp_path) -> None:
    models.save_classifier(models.ARCHITECTURES["bert"].build(SIZES, 3), tmp_path, "bert", 3, "center")
    model, _ = models.load_classifier(tmp_path)
    ids = torch.from_numpy(model_inputs(sequences([30]), 3))
    embedded = model.get_input_embeddings()(ids)
    assert torch.allclose(model(inputs_embeds=embedded).logits, model(input_ids=ids).logits, atol=1e-6)
