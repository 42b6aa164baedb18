"""The budget of a headset in a call: which rate it sustains, how late the picture is, what binds.

* ``config``: a budget as data (presets, figures with units and sources); ``plan``: its numbers.
* ``foveation``: what gaze saves. ``headset``, ``simulate``: the discrete-event model.
* ``capacity``: the same by arithmetic: rates of every resource, avatars that fit.
* ``answers``: both as one result.
"""

from esca.telepresence.budget.answers import Answers, answer
from esca.telepresence.budget.config import Budget, budget_names, load_budget
from esca.telepresence.budget.plan import Plan, plan_of

__all__ = ["Answers", "Budget", "Plan", "answer", "budget_names", "load_budget", "plan_of"]
