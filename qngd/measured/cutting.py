"""The user's own circuit, cut down to what is measured: rotations and gates that nothing needs are left out."""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.circuit import Circuit
from qngd.circuit.cones import causal_cone
from qngd.circuit.frame import push
from qngd.circuit.ops import Op, Ops, select
from qngd.circuit.pauli import PauliStrings
from qngd.measured.template import Template, template_of

_ROTATION = int(Op.ROTATION)


def observable_cone(circuit: Circuit, strings: PauliStrings) -> np.ndarray:
    """The rotations (mask over K) that `strings`, measured at the circuit's end, can depend on."""
    everything = np.ones(len(circuit.generators), dtype=bool)
    return causal_cone(circuit, circuit.frame.pull(strings), everything)


def observable_template(
    circuit: Circuit, strings: PauliStrings, whole: bool = False, cone: np.ndarray | None = None
) -> Template:
    """The circuit, without the rotations that `strings`, measured at its end, cannot depend on unless `whole`; their
    `cone` is found if it is not given."""
    if whole:
        return template_of(circuit, circuit.ops, np.arange(len(circuit.generators)), strings, whole=True)
    kept = observable_cone(circuit, strings) if cone is None else cone
    wires = (strings.letters() != 0).any(axis=0)
    keep = light_cone(circuit.ops, kept, np.zeros_like(kept), wires)
    return template_of(circuit, select(circuit.ops, keep), np.flatnonzero(kept), strings)


def layer_template(circuit: Circuit, layer: int) -> Template:
    """The circuit up to a layer, measuring the generators of the layer's rotations (in circuit order)."""
    keep, rotations, strings = prefix(circuit, layer)
    return template_of(circuit, select(circuit.ops, keep), rotations, strings, pairs=True)


def layer_templates(circuit: Circuit) -> list[Template]:
    """One a layer, in order."""
    return [layer_template(circuit, layer) for layer in range(circuit.num_layers)]


def layer_members(circuit: Circuit, layer: int) -> np.ndarray:
    """The moving rotations of a layer, in circuit order."""
    return np.flatnonzero(circuit.moving & (circuit.level == layer))


def prefix(circuit: Circuit, layer: int, also: int | None = None) -> tuple[np.ndarray, np.ndarray, PauliStrings]:
    """What leads to a layer: a mask over the operations, the rotations among them, and the generators of the
    layer's rotations at their end.

    Rotations of this and later layers are left out, as if their angle were 0, and so is what then acts on nothing
    that is measured. What leads to, and comes from, the place of rotation `also` is kept too.
    """
    members = layer_members(circuit, layer)
    earlier = np.where(circuit.moving, circuit.level < layer, circuit.level <= layer)
    watched = members if also is None else np.append(members, also)
    kept = causal_cone(circuit, circuit.generators[watched], earlier)
    targets = np.zeros_like(kept)
    targets[watched] = True
    keep = light_cone(circuit.ops, kept, targets, np.zeros(circuit.num_qubits, dtype=bool))
    _, frame = push(select(circuit.ops, keep), circuit.num_qubits)
    return keep, np.flatnonzero(kept), frame.carry(circuit.generators[members])


def light_cone(ops: Ops, kept: np.ndarray, targets: np.ndarray, wires: np.ndarray) -> np.ndarray:
    """A mask over the operations: the kept rotations, and the Clifford gates that lead to them, to the places of
    the `targets` (masks over K), or to the final `wires` (mask over qubits)."""
    keep = np.zeros(len(ops), dtype=bool)
    _sweep(ops.kind, ops.start, ops.qubits, kept, targets, wires.copy(), keep)
    return keep


@kernel
def _sweep(kind, start, qubits, kept, targets, live, keep):
    rotation = kept.shape[0]
    for position in range(kind.shape[0] - 1, -1, -1):
        is_rotation = kind[position] == _ROTATION
        if is_rotation:
            rotation -= 1
            keep[position] = kept[rotation]
            reaches = kept[rotation] or targets[rotation]
        else:
            reaches = False
            for i in range(start[position], start[position + 1]):
                reaches = reaches or live[qubits[i]]
            keep[position] = reaches
        if reaches:
            for i in range(start[position], start[position + 1]):
                live[qubits[i]] = True
