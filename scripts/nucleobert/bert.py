"""transformers' BERT with our attention, and the last layer for [CLS] alone; weights and their names are the stock's.

Importing this makes the attention known to transformers' models.
"""

from typing import Any

import torch
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface
from transformers.models.bert import modeling_bert

from nucleobert.cpu_kernels import ATTENTION, attend
from nucleobert.heads import Logits, first_state


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    **unused: Any,
) -> tuple[torch.Tensor, None]:
    """Do `attend` in transformers' form: of heads side by side, (n, tokens, heads, d)."""
    return attend(query, key, value, attention_mask, dropout).transpose(1, 2), None


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


class BertForSequenceClassification(modeling_bert.BertForSequenceClassification):
    """The stock classifier, which reads [CLS] alone. Its name stands in the folders that it writes."""

    def forward(self, attention_mask: torch.Tensor | None = None, **inputs: torch.Tensor) -> Logits:
        """Return the logits for ``input_ids`` (n, tokens) or ``inputs_embeds`` (n, tokens, hidden)."""
        return Logits(self.classifier(self.dropout(first_state(self.bert, attention_mask, **inputs))))
