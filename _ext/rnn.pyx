# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""The gated recurrence over whole sequences, forward and backward; cell.h has the algebra.

The rows of a batch are independent, so every thread takes some of them through all of time.
"""
from cython cimport floating
from cython.parallel cimport prange

include "simd.pxi"
include "modes.pxi"

cdef extern from "cell.h" nogil:
    enum: PADDING, _NO_GATE "NO_GATE", _MGU "MGU", _TIMED "TIMED"
    ctypedef struct sequence_t:
        Py_ssize_t length, batch, n_hidden, n_outputs, n_memories
        int gate
        modes_t modes
        const double* step
        const Py_ssize_t* active
        const void* x
        const void* y
        const void* U
        const void* W
        void* u
        void* lost
        void* memory
        void* hidden
        void* act
        const void* grad_hidden
        void* grad_x
        void* grad_y
        void* grad_state
        void* grad_memory
        double* grad_step
        void* packed
    ctypedef void (*sequence_fn)(const sequence_t*, Py_ssize_t, Py_ssize_t, void*) noexcept nogil
    ctypedef struct kernels_t:
        sequence_fn forward
        sequence_fn backward
        void (*prepack)(const sequence_t*, int) noexcept nogil
    kernels_t select_kernels(int is_double)

NO_GATE, MGU, TIMED = _NO_GATE, _MGU, _TIMED
PACKING = PADDING


cdef class Sequence:
    """The arrays of one batch, all of them of one precision, and what is to be done with them."""

    cdef sequence_t s
    cdef bint is_double
    cdef object kept  # the arrays that the pointers point to

    def forward(
        self,
        floating[:, ::1] lost,           # WORK  (batch, n_memories * 2 n_modes), zero
        floating[:, ::1] scratch,        # WORK  (n_threads, 3 n_modes)
    ):
        """Fill u, memory, hidden and act; what is not active is left as it is."""
        self.s.lost = &lost[0, 0]
        self._run(0, scratch.shape[0], <char*> &scratch[0, 0], scratch.shape[1] * sizeof(floating))

    def backward(
        self,
        floating[:, ::1] grad_state,            # INOUT (batch, n_hidden), from the last hidden state to the first
        floating[:, ::1] grad_memory,           # INOUT (batch, n_memories * 2 n_modes), likewise
        const floating[:, :, ::1] grad_hidden,  # IN    (length, batch, n_hidden) or None
        floating[:, :, ::1] grad_x,             # OUT   as x
        floating[:, :, ::1] grad_y,             # OUT   as y
        double[:, ::1] grad_step,               # OUT   as step, or None
        floating[:, ::1] scratch,               # WORK  (n_threads, 3 n_modes)
    ):
        """Fill the gradients; what is not active is left as it is."""
        self.s.grad_hidden = NULL if grad_hidden is None else <const void*> &grad_hidden[0, 0, 0]
        self.s.grad_state, self.s.grad_memory = &grad_state[0, 0], &grad_memory[0, 0]
        self.s.grad_x, self.s.grad_y = &grad_x[0, 0, 0], &grad_y[0, 0, 0]
        self.s.grad_step = NULL if grad_step is None else &grad_step[0, 0]
        self._run(1, scratch.shape[0], <char*> &scratch[0, 0], scratch.shape[1] * sizeof(floating))

    cdef void _run(self, bint backward, int n_threads, char* scratch, Py_ssize_t stride):
        cdef kernels_t kernels = select_kernels(self.is_double)
        cdef sequence_fn run = kernels.backward if backward else kernels.forward
        cdef sequence_t* s = &self.s
        cdef int i
        kernels.prepack(s, backward)
        for i in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
            run(s, s.batch * i // n_threads, s.batch * (i + 1) // n_threads, scratch + i * stride)


def sequence(
    const floating[::1] frequency,   # IN    (n_modes,)
    const floating[:, ::1] V,        # IN    (rank, 2 n_modes)
    const floating[::1] origin,      # IN    (2 n_modes,) the memory of a constant 1
    const double[::1] b,             # IN    (rank,)
    double damping,
    double implicit,                 # IN    1/2: bilinear, 1: backward
    int gate,
    const double[:, ::1] step,       # IN    (length, batch), infinite where a memory starts
    const Py_ssize_t[::1] active,    # IN    (length,) rows that have not ended; does not increase
    const floating[:, :, ::1] x,     # IN    (length, batch, n_memories)
    const floating[:, :, ::1] y,     # IN    (length, batch, n_outputs)
    const floating[:, ::1] U,        # IN    (n_memories, n_hidden)
    const floating[:, ::1] W,        # IN    (n_outputs, n_memories * 2 n_modes)
    floating[:, :, ::1] u,           # OUT   (length, batch, n_memories)
    floating[:, :, ::1] memory,      # INOUT (length + 1, batch, n_memories * 2 n_modes), from the initial one on
    floating[:, :, ::1] hidden,      # INOUT (length + 1, batch, n_hidden)
    floating[:, :, ::1] act,         # OUT   (length, batch, n_outputs)
    floating[::1] packed,            # WORK  ((n_outputs + PACKING) (n_memories * 2 n_modes + PACKING),)
):
    """Lay out a batch; forward fills u, memory, hidden and act."""
    cdef Sequence batch = Sequence()
    batch.kept = (frequency, V, origin, step, active, x, y, U, W, u, memory, hidden, act, packed)
    batch.is_double = floating is double
    batch.s.length, batch.s.batch, batch.s.n_memories = x.shape[0], x.shape[1], x.shape[2]
    batch.s.n_hidden, batch.s.n_outputs, batch.s.gate = U.shape[1], W.shape[0], gate
    batch.s.modes = _modes(frequency.shape[0], b, damping, implicit)
    batch.s.modes.frequency, batch.s.modes.V, batch.s.modes.origin = &frequency[0], &V[0, 0], &origin[0]
    batch.s.step, batch.s.active = &step[0, 0], &active[0]
    batch.s.x, batch.s.y, batch.s.U, batch.s.W = &x[0, 0, 0], &y[0, 0, 0], &U[0, 0], &W[0, 0]
    batch.s.u, batch.s.memory, batch.s.hidden, batch.s.act = (
        &u[0, 0, 0], &memory[0, 0, 0], &hidden[0, 0, 0], &act[0, 0, 0]
    )
    batch.s.packed = &packed[0]
    return batch
