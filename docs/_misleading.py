"""One input for every method on which it misleads: shown on its page, and run by a test.

``EXAMPLES`` holds a sentence and a session as Python prints it, after ``SETUP`` was run.
"""

from __future__ import annotations

__all__ = ["EXAMPLES", "SETUP"]

SETUP = '''
import torch

import saliscope


class Formula(torch.nn.Module):
    """A model of one output, given as a formula of the rows of its input."""

    def __init__(self, formula):
        super().__init__()
        self.formula = formula

    def forward(self, x):
        return self.formula(x.T)[:, None]


def values(method, formula, x, **options):
    """Explain a formula of a few numbers."""
    net = Formula(formula).eval()
    a = saliscope.explain(net, torch.tensor([x]), method, 0, **options)
    return [round(v, 2) + 0.0 for v in a.to_numpy()[0].tolist()]


def pixels(*weights):
    """Make a network of one output over a picture of one line, with a weight per pixel.

    With several lists of weights, the layer before has a feature for each.
    """
    features = len(weights) if isinstance(weights[0], tuple) else 1
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, features, 1, bias=False),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(3 * features, 1, bias=False),
    )
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[3].weight.copy_(torch.tensor(weights, dtype=torch.float32).reshape(1, -1))
    return net.eval()


def picture(method, net, line, **options):
    """Explain a picture of one line."""
    a = saliscope.explain(net, torch.tensor([[[line]]]), method, 0, **options)
    return [round(v, 2) + 0.0 for v in a.to_numpy().ravel().tolist()]


def words(a):
    """Return the words of a map with their values."""
    kind = a.meta["unit_kind"]
    names = a.data[kind].values.tolist()
    return {w: round(v, 2) + 0.0 for w, v in zip(names, a.to_numpy().tolist(), strict=True)}
'''.strip()

EXAMPLES: dict[str, tuple[str, str]] = {
    "attention": (
        "No layer passes on what it reads, so no word can change the output; the map still tells "
        "the words apart.",
        """
>>> model = saliscope.load("zoo:sentiment")
>>> with torch.no_grad():
...     for layer in model.module.bert.encoder.layer:
...         _ = layer.attention.output.dense.weight.zero_()
>>> words(saliscope.explain(model, "a dreadful film", "attention", "positive"))
{'a': 0.19, 'dread': 0.29, 'ful': 0.27, 'film': 0.25}
>>> words(saliscope.explain(model, "a dreadful film", "masking", "positive"))
{'a': 0.0, 'dreadful': 0.0, 'film': 0.0}
""",
    ),
    "attention_flow": (
        "Every token attends to all alike, and each is said to carry a large part of what flows "
        "to the output: together they carry several times all of it.",
        """
>>> model = saliscope.load("zoo:sentiment")
>>> with torch.no_grad():
...     for layer in model.module.bert.encoder.layer:
...         _ = layer.attention.self.query.weight.zero_()
...         _ = layer.attention.self.query.bias.zero_()
>>> words(saliscope.explain(model, "a dreadful film", "attention_flow", "positive"))
{'a': 0.92, 'dread': 0.92, 'ful': 0.92, 'film': 0.92}
""",
    ),
    "attnlrp": (
        "The score is 6, and the map accounts for 1: the rest is a bias.",
        """
>>> values("attnlrp", lambda x: x[0] + 5.0, [1.0])
[1.0]
""",
    ),
    "deeplift": (
        "One product of three numbers, written in two orders: two maps.",
        """
>>> values("deeplift", lambda x: (x[0] * x[1]) * x[2], [1.0, 2.0, 3.0])
[1.5, 1.5, 3.0]
>>> values("deeplift", lambda x: x[0] * (x[1] * x[2]), [1.0, 2.0, 3.0])
[3.0, 1.5, 1.5]
""",
    ),
    "expected_gradients": (
        "The first unit gives 5 of the score of 6, and nothing on the map: it is the same in the "
        "whole background.",
        """
>>> background = torch.tensor([[1.0, 0.0], [1.0, 0.5]])
>>> values("expected_gradients", lambda x: 5 * x[0] + x[1], [1.0, 1.0], baseline=background)
[0.0, 0.75]
""",
    ),
    "grad_cam": (
        "The output reads the first pixel alone; the map is even.",
        """
>>> picture("grad_cam", pixels(1, 0, 0), [1.0, 1.0, 1.0])
[0.33, 0.33, 0.33]
>>> picture("occlusion", pixels(1, 0, 0), [1.0, 1.0, 1.0])
[1.0, 0.0, 0.0]
""",
    ),
    "grad_cam_plus_plus": (
        "The second pixel lowers the score by 5, and is drawn like the first, which raises it by "
        "1.",
        """
>>> picture("grad_cam_plus_plus", pixels(1, -5, 0), [1.0, 1.0, 1.0])
[0.2, 0.2, 0.2]
>>> picture("occlusion", pixels(1, -5, 0), [1.0, 1.0, 1.0])
[1.0, -5.0, 0.0]
""",
    ),
    "gradient": (
        "Without the first unit the score would fall from 1.1 to 0.1; where the curve is flat, "
        "its slope is zero.",
        """
>>> values("gradient", lambda x: torch.tanh(9 * x[0]) + 0.1 * x[1], [1.0, 1.0])
[0.0, 0.1]
>>> values("masking", lambda x: torch.tanh(9 * x[0]) + 0.1 * x[1], [1.0, 1.0])
[1.0, 0.1]
""",
    ),
    "input_x_gradient": (
        "The unit raises the score from 0 to 2, and gets the opposite sign.",
        """
>>> values("input_x_gradient", lambda x: 3 * x[0] - x[0] ** 2, [2.0])
[-2.0]
>>> values("masking", lambda x: 3 * x[0] - x[0] ** 2, [2.0])
[2.0]
""",
    ),
    "integrated_gradients": (
        "The model wants the first unit dark. It is dark, like the baseline (0), and gets nothing; "
        "from a bright baseline it gets all.",
        """
>>> values("integrated_gradients", lambda x: 2 * (1 - x[0]) + x[1], [0.0, 1.0])
[0.0, 1.0]
>>> values("integrated_gradients", lambda x: 2 * (1 - x[0]) + x[1], [0.0, 1.0], baseline=1.0)
[2.0, 0.0]
""",
    ),
    "layer_cam": (
        "Two features of the first pixel cancel, so that it changes nothing; the map shows the one "
        "that raises the score.",
        """
>>> picture("layer_cam", pixels((1, 0, 0), (-1, 0, 0)), [1.0, 1.0, 1.0])
[1.0, 0.0, 0.0]
>>> picture("occlusion", pixels((1, 0, 0), (-1, 0, 0)), [1.0, 1.0, 1.0])
[0.0, 0.0, 0.0]
""",
    ),
    "lime": (
        "All three have to be there for a score of 1. Close by, each seems to bring all of it; "
        "seen from afar, less than a third.",
        """
>>> values("lime", lambda x: x[0] * x[1] * x[2], [1.0, 1.0, 1.0], kernel_width=0.1)
[1.0, 1.0, 1.0]
>>> values("lime", lambda x: x[0] * x[1] * x[2], [1.0, 1.0, 1.0], kernel_width=9.0)
[0.3, 0.3, 0.3]
""",
    ),
    "masking": (
        "Two units say the same, and either is enough: neither seems to count.",
        """
>>> values("masking", lambda x: torch.maximum(x[0], x[1]), [1.0, 1.0])
[0.0, 0.0]
""",
    ),
    "occlusion": (
        "The model wants the unit dark, and what covers it is dark, too.",
        """
>>> values("occlusion", lambda x: 1 - x[0], [0.0], window=1)
[0.0]
>>> values("occlusion", lambda x: 1 - x[0], [0.0], window=1, fill=1.0)
[1.0]
""",
    ),
    "permutation": (
        "In all data the two units are equal, so that the second term never counts; changed one "
        "at a time, it is all that counts.",
        """
>>> data = torch.tensor([[0.0, 0.0], [2.0, 2.0]])
>>> formula = lambda x: x[0] + 10 * (x[0] - x[1]) ** 2
>>> values("permutation", formula, [1.0, 1.0], baseline=data)
[-10.0, -10.0]
""",
    ),
    "relevance": (
        "A word that lowers the target is drawn as its strongest support.",
        """
>>> model = saliscope.load("zoo:sentiment")
>>> a = saliscope.explain(model, "a dreadful film", "relevance", "positive")
>>> words(a.group("word"))
{'a': 0.03, 'dreadful': 0.06, 'film': 0.02}
>>> words(saliscope.explain(model, "a dreadful film", "masking", "positive"))
{'a': 0.15, 'dreadful': -0.96, 'film': 0.07}
""",
    ),
    "rollout": (
        "The output ignores all heads but the first of each layer. Turning the others around "
        "changes no score, and the map.",
        """
>>> model = saliscope.load("zoo:sentiment")
>>> config = model.module.config
>>> own = config.hidden_size // config.num_attention_heads
>>> with torch.no_grad():
...     for layer in model.module.bert.encoder.layer:
...         _ = layer.attention.output.dense.weight[:, own:].zero_()
>>> one = saliscope.explain(model, "a dreadful film", "rollout", "positive")
>>> with torch.no_grad():
...     for layer in model.module.bert.encoder.layer:
...         _ = layer.attention.self.query.weight[own:].mul_(-3)
>>> two = saliscope.explain(model, "a dreadful film", "rollout", "positive")
>>> round(one.score - two.score, 4) + 0.0
0.0
>>> words(one)
{'a': 0.09, 'dread': 0.4, 'ful': 0.16, 'film': 0.1}
>>> words(two)
{'a': 0.09, 'dread': 0.18, 'ful': 0.09, 'film': 0.09}
""",
    ),
    "score_cam": (
        "One model reads the first pixel, the other the last; their maps are the same.",
        """
>>> picture("score_cam", pixels((0.01, 0, 0), (0, 0, 0)), [1.0, 2.0, 3.0])
[1.0, 2.0, 3.0]
>>> picture("score_cam", pixels((0, 0, 0), (0, 0, 0.01)), [1.0, 2.0, 3.0])
[1.0, 2.0, 3.0]
""",
    ),
    "shapley": (
        "Two units undo each other: either alone brings 1, both together nothing. Both get zero, "
        "and the interaction shows why.",
        """
>>> values("shapley", lambda x: (x[0] - x[1]) ** 2, [1.0, 1.0])
[0.0, 0.0]
>>> net, x = Formula(lambda x: (x[0] - x[1]) ** 2).eval(), torch.ones(1, 2)
>>> saliscope.explain(net, x, "shapley", 0, interactions=True).interaction.values.tolist()
[[[0.0, -2.0], [-2.0, 0.0]]]
""",
    ),
    "smoothgrad": (
        "The model is flat in the first unit, and stays so until 1.3; noise that reaches further "
        "finds a slope.",
        """
>>> values("gradient", lambda x: torch.relu(x[0] - 1.3) + x[1], [1.0, 0.0])
[0.0, 1.0]
>>> values("smoothgrad", lambda x: torch.relu(x[0] - 1.3) + x[1], [1.0, 0.0], noise=0.5)
[0.27, 1.0]
""",
    ),
    "vargrad": (
        "The first unit counts ten times as much, without any variance.",
        """
>>> values("vargrad", lambda x: 10 * x[0] + torch.relu(x[1]), [1.0, 0.0])
[0.0, 0.25]
""",
    ),
}
