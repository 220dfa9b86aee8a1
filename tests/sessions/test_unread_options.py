"""Options that a training would not read are refused where they are set, with the way out."""

from __future__ import annotations

import pytest

from qmltrain.errors import InputError
from qmltrain.verbs import train
from tests.small_configs import CONTEXT, ising_chain


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer__learning_rate": 0.1}, r"^optimizer\.learning_rate: found 0\.1; not .*its default, 0\.05"),
        ({"schedule__warmup_steps": 5}, r"^schedule\.warmup_steps: found 5; not used by optimizer\.name=lbfgs"),
        ({"schedule__name": "cosine", "schedule__final_fraction": 0.1}, r"^schedule\.final_fraction: found 0\.1"),
        ({"schedule__name": "step"}, r"^schedule\.name: found step; not used by .*choose schedule=constant"),
        ({"optimizer__clip_norm": 0.5}, r"^optimizer\.clip_norm: found 0\.5; not used by .*lbfgs; .* default, null"),
        ({"train__batch_size": 64}, r"^train\.batch_size: found 64; not used by .*; leave it at its default, 32"),
        ({"optimizer__name": "adam", "train__batch_size": 64}, r"^train\.batch_size: .* by dataset=none"),
        ({"train__replacement": True}, r"^train\.replacement: found True; not used by optimizer\.name=lbfgs"),
        ({"dataset__test": 0.1}, r"^dataset\.test: found 0\.1; not used by dataset=none"),
        ({"preprocess__normalize": True}, r"^preprocess\.normalize: found True; not used by dataset=none"),
    ],
)
def test_what_would_not_be_read_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as refused:
        train.run(ising_chain(tmp_path, **changes), CONTEXT)
    assert "\n" not in str(refused.value) and not list(tmp_path.iterdir())
