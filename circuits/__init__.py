"""Example problems, one file per family, each written as a user of its SDK would write it.

Every module offers ``problem(**settings) -> qngd.Problem`` and checks its settings: a
``ValueError`` names the one that is wrong. The files stand alone, so each can be copied, changed and run:
``qngd run circuits/h2.py --set layers=3``.

===========================  ==========  ===========================================================
file                         written in  problem
===========================  ==========  ===========================================================
``h2``                       Qiskit      hydrogen molecule, four qubits
``lih``                      PennyLane   lithium hydride in an active space
``hydrogen_chain``           PennyLane   linear chain of hydrogen atoms
``tfim``                     Qiskit      transverse-field Ising ring, Hamiltonian variational ansatz
``maxcut``                   PennyLane   MaxCut by QAOA
``sherrington_kirkpatrick``  Qiskit      Sherrington-Kirkpatrick spin glass by QAOA
``pauli_ladder``             PennyLane   random Pauli rotations between ladders of CZ
``heisenberg``               Qiskit      Heisenberg chain, hardware-efficient ansatz
``qasm_ladder``              OpenQASM 3  transverse-field Ising model on a two-leg ladder
===========================  ==========  ===========================================================

This package belongs to the checkout and is not installed with ``qngd``.
"""
