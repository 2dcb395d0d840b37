"""DNABERT-2's network, MosaicBERT: no positions, attention with linear biases (ALiBi), a gated MLP.

Names of weights are those of DNABERT-2's files. Only torch's own kernels are used. What follows the encoder is stock:
transformers' pooler and masked-language head are the same there.

Sources: Zhou et al., DNABERT-2, ICLR 2024; Portes et al., MosaicBERT, NeurIPS 2023; Press et al., ALiBi, ICLR 2022.
"""

import functools

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling, MaskedLMOutput
from transformers.modeling_utils import PreTrainedModel
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertOnlyMLMHead, BertPooler

from nucleobert.cpu_kernels import attend
from nucleobert.heads import at_places


class AlibiBertConfig(BertConfig):
    """BERT's configuration under a name that no class of transformers takes for its own."""

    model_type = "alibi_bert"


def slopes(heads: int) -> list[float]:
    """Return the slope of each head: 2^(-8/n), 2^(-16/n) ... for n heads, a power of two.

    For another number, those of the next lower power of two, then every second one of the next higher.

    >>> slopes(3)
    [0.0625, 0.00390625, 0.25]
    """
    lower = 1 << heads.bit_length() - 1
    found = [2.0 ** (-8 * (head + 1) / lower) for head in range(lower)]
    return found + [2.0 ** (-8 * (head + 1) / (2 * lower)) for head in range(0, 2 * (heads - lower), 2)]


@functools.lru_cache(maxsize=4)
def alibi_bias(heads: int, tokens: int, device: torch.device) -> torch.Tensor:
    """Return what is added to attention's scores, -slope x distance, shape (1, heads, tokens, tokens), float32."""
    # A tensor made in inference mode would be of no use to a later training.
    with torch.inference_mode(False), torch.no_grad():
        places = torch.arange(tokens, device=device)
        distance = (places[:, None] - places).abs()
        return -torch.tensor(slopes(heads), device=device)[None, :, None, None] * distance


class _Embeddings(nn.Module):
    def __init__(self, config: AlibiBertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Return the first states for the words' embeddings (n, tokens, hidden); all tokens are of type 0."""
        return self.dropout(self.LayerNorm(words + self.token_type_embeddings.weight[0]))


class _SelfAttention(nn.Module):
    def __init__(self, config: AlibiBertConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.num_attention_heads, float(config.attention_probs_dropout_prob)
        self.Wqkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)

    def forward(self, states: torch.Tensor, bias: torch.Tensor, places: torch.Tensor | None) -> torch.Tensor:
        """Return what each token at the places finds, heads side by side, in the form of the states."""
        query, key, value = self.Wqkv(states).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if places is not None:
            query = at_places(query.transpose(1, 2), places).transpose(1, 2)
            bias = at_places(bias.expand(len(places), -1, -1, -1).transpose(1, 2), places).transpose(1, 2)
        found = attend(query, key, value, bias, self.dropout if self.training else 0.0)
        return found.transpose(1, 2).flatten(2)


class _Residual(nn.Module):
    def __init__(self, config: AlibiBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, found: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Return the normalised sum of the states and of what was found, both (n, tokens, hidden)."""
        return self.LayerNorm(self.dropout(self.dense(found)) + states)


class _Attention(nn.Module):
    def __init__(self, config: AlibiBertConfig) -> None:
        super().__init__()
        self.self = _SelfAttention(config)
        self.output = _Residual(config)

    def forward(self, states: torch.Tensor, bias: torch.Tensor, places: torch.Tensor | None) -> torch.Tensor:
        """Return the states behind the attention."""
        read = states if places is None else at_places(states, places)
        return self.output(self.self(states, bias, places), read)


class _GatedMlp(nn.Module):
    def __init__(self, config: AlibiBertConfig) -> None:
        super().__init__()
        self.gated_layers = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.act = nn.GELU()
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.wo = nn.Linear(config.intermediate_size, config.hidden_size)
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the states (n, tokens, hidden) behind the MLP: the first half of its width gates the second."""
        gate, value = self.gated_layers(states).chunk(2, -1)
        return self.layernorm(self.wo(self.dropout(self.act(gate) * value)) + states)


class _Layer(nn.Module):
    def __init__(self, config: AlibiBertConfig) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.mlp = _GatedMlp(config)

    def forward(self, states: torch.Tensor, bias: torch.Tensor, places: torch.Tensor | None = None) -> torch.Tensor:
        """Return the states (n, tokens, hidden) behind the layer; of the tokens at places (n, m) alone if given."""
        return self.mlp(self.attention(states, bias, places))


class _Layers(nn.Module):
    def __init__(self, config: AlibiBertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, states: torch.Tensor, bias: torch.Tensor, places: torch.Tensor | None) -> torch.Tensor:
        """Return the last states (n, tokens, hidden), of the tokens at places (n, m) alone if given."""
        *layers, last = self.layer
        for layer in layers:
            states = layer(states, bias)
        return last(states, bias, places)


class _AlibiBert(PreTrainedModel):
    config_class = AlibiBertConfig
    base_model_prefix = "bert"
    _supports_sdpa = True


class AlibiBertModel(_AlibiBert):
    """The encoder, with BERT's pooler on [CLS] if it is asked for."""

    def __init__(self, config: AlibiBertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = _Embeddings(config)
        self.encoder = _Layers(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the word embeddings."""
        return self.embeddings.word_embeddings

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        places: torch.Tensor | None = None,
    ) -> BaseModelOutputWithPooling:
        """Return ``last_hidden_state`` (n, tokens, hidden), and ``pooler_output`` (n, hidden) if there is a pooler.

        Parameters
        ----------
        input_ids, inputs_embeds
            Token ids (n, tokens), or the words' embeddings (n, tokens, hidden) in their place.
        attention_mask
            (n, tokens), 0 on padding, which nothing attends to; None without padding.
        places
            (n, m), the tokens of which the last states are returned, (n, m, hidden), and no ``pooler_output``; None: of
            all.
        """
        words = self.embeddings.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        states = self.embeddings(words)
        bias = alibi_bias(self.config.num_attention_heads, states.shape[1], states.device)
        if attention_mask is not None:
            bias = bias.masked_fill(attention_mask[:, None, None] == 0, -torch.inf)
        states = self.encoder(states, bias.to(states.dtype), places)
        return BaseModelOutputWithPooling(
            last_hidden_state=states,
            pooler_output=None if self.pooler is None or places is not None else self.pooler(states),
        )


class AlibiBertForMaskedLM(_AlibiBert):
    """The encoder and BERT's head for masked tokens, which shares the words' embeddings."""

    _tied_weights_keys = {  # noqa: RUF012 (transformers' own form)
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    }

    def __init__(self, config: AlibiBertConfig) -> None:
        super().__init__(config)
        self.bert = AlibiBertModel(config, add_pooling_layer=False)
        self.cls = BertOnlyMLMHead(config)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """Return the layer that scores the tokens."""
        return self.cls.predictions.decoder

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
    ) -> MaskedLMOutput:
        """Return ``logits`` (n, tokens, vocabulary); the arguments are those of `AlibiBertModel`."""
        states = self.bert(input_ids, attention_mask, inputs_embeds).last_hidden_state
        return MaskedLMOutput(logits=self.cls(states))
