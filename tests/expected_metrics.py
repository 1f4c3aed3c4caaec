"""The metrics of a circuit as they should be, from the dense metric over rotations."""

import numpy as np

from tests import dense


def expected_metrics(circuit, theta):
    """The three metrics from the dense metric over rotations, cut to what each approximation keeps."""
    phi, jacobian = circuit.angle_map.linearize(np.asarray(theta, float))
    over_rotations = dense.rotation_metric(circuit, phi)
    moving, j = circuit.moving, jacobian.toarray()
    both = moving[:, None] & moving[None]

    def blocks(diagonal):
        """Rotations of one number in one layer, and those of a split gate in all of its layers."""
        number, level = circuit.block_of(diagonal), circuit.level
        joint = (number[:, None] == number) & ((level[:, None] == level) | (number < len(circuit.split_gates)))
        return j.T @ (over_rotations * both * joint) @ j

    return {
        "full": j.T @ (over_rotations * both) @ j,
        "block-diag": blocks(False),
        "diag": np.diag(np.diag(blocks(True))),
    }
