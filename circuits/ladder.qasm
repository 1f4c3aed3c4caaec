// Six spins on a two-leg ladder: qubits 0, 1, 2 are one leg, 3, 4, 5 the other, and i with i + 3 is a rung.
// Three layers of the Hamiltonian variational ansatz for H = -J ΣZZ (legs) - K ΣZZ (rungs) - h ΣX.
OPENQASM 3.0;
include "stdgates.inc";

input float[64] t1_along;
input float[64] t1_between;
input float[64] t1_field;
input float[64] t2_along;
input float[64] t2_between;
input float[64] t2_field;
input float[64] t3_along;
input float[64] t3_between;
input float[64] t3_field;

// exp(-i t ZZ)
gate bond(t) a, b {
  cx a, b;
  rz(2 * t) b;
  cx a, b;
}

qubit[6] q;
h q;

bond(t1_along) q[0], q[1];
bond(t1_along) q[1], q[2];
bond(t1_along) q[3], q[4];
bond(t1_along) q[4], q[5];
bond(t1_between) q[0], q[3];
bond(t1_between) q[1], q[4];
bond(t1_between) q[2], q[5];
rx(2 * t1_field) q;

bond(t2_along) q[0], q[1];
bond(t2_along) q[1], q[2];
bond(t2_along) q[3], q[4];
bond(t2_along) q[4], q[5];
bond(t2_between) q[0], q[3];
bond(t2_between) q[1], q[4];
bond(t2_between) q[2], q[5];
rx(2 * t2_field) q;

bond(t3_along) q[0], q[1];
bond(t3_along) q[1], q[2];
bond(t3_along) q[3], q[4];
bond(t3_along) q[4], q[5];
bond(t3_between) q[0], q[3];
bond(t3_between) q[1], q[4];
bond(t3_between) q[2], q[5];
rx(2 * t3_field) q;
