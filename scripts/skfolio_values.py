"""Sharpe ratios by skfolio, in an environment of its own: JSON in, JSON out."""

import json
import sys
from importlib.metadata import version

import numpy as np
from skfolio.measures import deflated_sharpe_ratio, probabilistic_sharpe_ratio

asked = json.load(sys.stdin)
series = [np.array(each) for each in asked["series"]]
print(
    json.dumps(
        {
            "version": version("skfolio"),
            "probabilistic": [float(probabilistic_sharpe_ratio(each)) for each in series],
            "deflated": [
                float(deflated_sharpe_ratio(each, np.array(asked["ratios"]))) for each in series
            ],
        }
    )
)
