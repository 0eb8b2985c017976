# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Diagonal state spaces over whole sequences, forward and backward; ssm.h has the algebra.

Channels of a sequence are independent, so every thread takes some blocks of them through all of time. Complex arrays
have their real parts before their imaginary ones.
"""
from cython cimport floating
from cython.parallel cimport prange

include "simd.pxi"

cdef extern from "ssm.h" nogil:
    enum: _STRETCH "STRETCH"
    enum: _SPELL "SPELL"
    enum: _MOST_LANES "MOST_LANES"
    ctypedef struct space_t:
        Py_ssize_t length, batch, width, n_modes, n_sets
        bint held
        const Py_ssize_t* lengths
        const double* step
        const void* u
        const void* before
        const void* rate
        const void* into
        const void* read
        const void* pass_ "pass"
        void* state
        void* kept
        void* y
        const void* grad_y
        void* grad_state
        void* grad_u
        void* grad_before
        void* grad_rate
        void* grad_into
        void* grad_read
        void* grad_pass
    ctypedef void (*space_fn)(const space_t*, Py_ssize_t, Py_ssize_t, void*) noexcept nogil
    ctypedef struct spaces_t:
        space_fn forward
        space_fn backward
        Py_ssize_t block
    spaces_t select_spaces(int is_double, int equal)
    Py_ssize_t scratch_of(Py_ssize_t n_modes)
    ctypedef struct selective_t:
        Py_ssize_t length, batch, width, n_modes, n_heads
        const Py_ssize_t* lengths
        const void* clock
        const void* decay
        const void* frequency
        const void* B
        const void* C
        const void* through
        const void* u
        void* state
        void* kept
        void* y
        const void* grad_y
        void* grad_state
        void* grad_u
        void* grad_clock
        void* grad_B
        void* grad_C
        void* grad_rate
        void* grad_through
    ctypedef void (*selective_fn)(const selective_t*, Py_ssize_t, Py_ssize_t, void*) noexcept nogil
    ctypedef struct selectives_t:
        selective_fn forward
        selective_fn backward
    selectives_t select_selectives(int is_double)
    Py_ssize_t scratch_of_selective(Py_ssize_t n_modes, Py_ssize_t n_channels)

STRETCH, SPELL, MOST_LANES = _STRETCH, _SPELL, _MOST_LANES


def scratch_size(Py_ssize_t n_modes):
    """Numbers of scratch that a thread needs."""
    return scratch_of(n_modes)


def selective_scratch_size(Py_ssize_t n_modes, Py_ssize_t n_channels):
    """Likewise, with as many channels in a head."""
    return scratch_of_selective(n_modes, n_channels)


cdef class Space:
    """The arrays of one batch, all of them of one precision, and what is to be done with them."""

    cdef space_t s
    cdef bint is_double
    cdef object held  # the arrays that the pointers point to

    def forward(
        self,
        floating[:, :, :, ::1] state,       # INOUT (batch, 2, n_modes, width), from the first to the last
        floating[:, :, :, :, ::1] kept,     # OUT   (batch, stretches, 2, n_modes, width), or None
        floating[:, :, ::1] y,              # OUT   (batch, length, width); what is behind the ends is left as it is
        floating[:, ::1] scratch,           # WORK  (n_threads, scratch_size(n_modes))
    ):
        """Fill state, kept and y."""
        self.s.state, self.s.y = &state[0, 0, 0, 0], &y[0, 0, 0]
        self.s.kept = NULL if kept is None else <void*> &kept[0, 0, 0, 0, 0]
        self._run(0, scratch.shape[0], <char*> &scratch[0, 0], scratch.shape[1] * sizeof(floating))

    def backward(
        self,
        floating[:, :, :, :, ::1] kept,     # IN    from forward
        const floating[:, :, ::1] grad_y,   # IN    (batch, length, width)
        floating[:, :, :, ::1] grad_state,  # INOUT (batch, 2, n_modes, width), from the last to the first
        floating[:, :, ::1] grad_u,         # OUT   (batch, length, width); what is behind the ends is left as it is
        floating[:, ::1] grad_before,       # OUT   (batch, width), where steps differ
        floating[:, :, :, ::1] grad_rate,   # OUT   (batch, 2, n_modes, width)
        floating[:, :, :, ::1] grad_into,   # OUT   likewise, where steps are equal
        floating[:, :, :, ::1] grad_read,   # OUT   likewise
        floating[:, ::1] grad_pass,         # OUT   (batch, width)
        floating[:, ::1] scratch,           # WORK  (n_threads, scratch_size(n_modes))
    ):
        """Fill the gradients."""
        self.s.kept, self.s.grad_y = &kept[0, 0, 0, 0, 0], &grad_y[0, 0, 0]
        self.s.grad_state, self.s.grad_u = &grad_state[0, 0, 0, 0], &grad_u[0, 0, 0]
        self.s.grad_before = &grad_before[0, 0]
        self.s.grad_rate, self.s.grad_into = &grad_rate[0, 0, 0, 0], &grad_into[0, 0, 0, 0]
        self.s.grad_read, self.s.grad_pass = &grad_read[0, 0, 0, 0], &grad_pass[0, 0]
        self._run(1, scratch.shape[0], <char*> &scratch[0, 0], scratch.shape[1] * sizeof(floating))

    cdef void _run(self, bint backward, int n_threads, char* scratch, Py_ssize_t stride):
        cdef spaces_t kernels = select_spaces(self.is_double, self.s.step == NULL)
        cdef space_fn run = kernels.backward if backward else kernels.forward
        cdef space_t* s = &self.s
        cdef Py_ssize_t n_items = s.batch * ((s.width + kernels.block - 1) // kernels.block)
        cdef int i
        for i in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
            run(s, n_items * i // n_threads, n_items * (i + 1) // n_threads, scratch + i * stride)


def space(
    const floating[:, :, ::1] u,         # IN    (batch, length, width)
    const Py_ssize_t[::1] lengths,       # IN    (batch,)
    const double[:, ::1] step,           # IN    (batch, length) up to each observation, or None if they are equal
    const floating[:, ::1] before,       # IN    (batch, width) the input before the first, where steps differ
    const floating[:, :, :, ::1] rate,   # IN    (n_sets, 2, n_modes, width) E; lambda where steps differ
    const floating[:, :, :, ::1] into,   # IN    likewise R, or None
    const floating[:, :, :, ::1] read,   # IN    likewise C
    const floating[:, ::1] through,      # IN    (n_sets, width) d; D where steps differ
    bint held,                           # IN    whether each value fills the time since the one before
):
    """Lay out a batch."""
    cdef Space batch = Space()
    batch.held = (u, lengths, step, before, rate, into, read, through)
    batch.is_double = floating is double
    batch.s.batch, batch.s.length, batch.s.width = u.shape[0], u.shape[1], u.shape[2]
    batch.s.n_modes, batch.s.n_sets, batch.s.held = rate.shape[2], rate.shape[0], held
    batch.s.u, batch.s.lengths, batch.s.before = &u[0, 0, 0], &lengths[0], &before[0, 0]
    batch.s.step = NULL if step is None else &step[0, 0]
    batch.s.rate, batch.s.read, batch.s.pass_ = &rate[0, 0, 0, 0], &read[0, 0, 0, 0], &through[0, 0]
    batch.s.into = NULL if into is None else <const void*> &into[0, 0, 0, 0]
    return batch


cdef class Selective:
    """The arrays of a batch of selective ones, and what is to be done with them."""

    cdef selective_t s
    cdef bint is_double
    cdef object held  # the arrays that the pointers point to

    def forward(
        self,
        floating[:, :, :, ::1] state,       # INOUT (batch, width, 2, n_modes), from before the first to the last
        floating[:, :, :, :, :, ::1] kept,  # OUT   (batch, n_heads, stretches, width / n_heads, 2, n_modes), or None
        floating[:, :, ::1] y,              # OUT   (batch, length, width); what is behind the ends is left as it is
        floating[:, ::1] scratch,           # WORK  (n_threads, selective_scratch_size(n_modes, width / n_heads))
    ):
        """Fill state, kept and y."""
        self.s.state, self.s.y = &state[0, 0, 0, 0], &y[0, 0, 0]
        self.s.kept = NULL if kept is None else <void*> &kept[0, 0, 0, 0, 0, 0]
        self._run(0, scratch.shape[0], <char*> &scratch[0, 0], scratch.shape[1] * sizeof(floating))

    def backward(
        self,
        floating[:, :, :, :, :, ::1] kept,  # IN    from forward
        const floating[:, :, ::1] grad_y,   # IN    (batch, length, width)
        floating[:, :, :, ::1] grad_state,  # INOUT (batch, width, 2, n_modes), from the last to before the first
        floating[:, :, ::1] grad_u,         # OUT   (batch, length, width); what is behind the ends is left as it is
        floating[:, :, ::1] grad_clock,     # OUT   (batch, length, n_heads), likewise
        floating[:, :, :, ::1] grad_B,      # OUT   (batch, length, 2, n_modes), likewise
        floating[:, :, :, ::1] grad_C,      # OUT   likewise
        floating[:, :, :, ::1] grad_rate,   # INOUT (batch, n_heads, 2, n_modes), added to
        floating[:, ::1] grad_through,      # INOUT (batch, width), added to
        floating[:, ::1] scratch,           # WORK  as in forward
    ):
        """Fill the gradients."""
        self.s.kept, self.s.grad_y = &kept[0, 0, 0, 0, 0, 0], &grad_y[0, 0, 0]
        self.s.grad_state, self.s.grad_u = &grad_state[0, 0, 0, 0], &grad_u[0, 0, 0]
        self.s.grad_clock, self.s.grad_rate = &grad_clock[0, 0, 0], &grad_rate[0, 0, 0, 0]
        self.s.grad_B, self.s.grad_C = &grad_B[0, 0, 0, 0], &grad_C[0, 0, 0, 0]
        self.s.grad_through = &grad_through[0, 0]
        self._run(1, scratch.shape[0], <char*> &scratch[0, 0], scratch.shape[1] * sizeof(floating))

    cdef void _run(self, bint backward, int n_threads, char* scratch, Py_ssize_t stride):
        cdef selectives_t kernels = select_selectives(self.is_double)
        cdef selective_fn run = kernels.backward if backward else kernels.forward
        cdef selective_t* s = &self.s
        cdef Py_ssize_t n = s.n_heads  # all heads of a sequence, whose gradients are added up, are one thread's
        cdef int i
        for i in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
            run(s, s.batch * i // n_threads * n, s.batch * (i + 1) // n_threads * n, scratch + i * stride)


def selective(
    const floating[:, :, ::1] u,         # IN    (batch, length, width)
    const Py_ssize_t[::1] lengths,       # IN    (batch,)
    const floating[:, :, ::1] clock,     # IN    (batch, length, n_heads)
    const floating[::1] decay,           # IN    (n_heads,)
    const floating[::1] frequency,       # IN    (n_modes,), a multiple of MOST_LANES
    const floating[:, :, :, ::1] B,      # IN    (batch, length, 2, n_modes)
    const floating[:, :, :, ::1] C,      # IN    likewise
    const floating[::1] through,         # IN    (width,) D
):
    """Lay out a batch."""
    cdef Selective batch = Selective()
    batch.held = (u, lengths, clock, decay, frequency, B, C, through)
    batch.is_double = floating is double
    batch.s.batch, batch.s.length, batch.s.width = u.shape[0], u.shape[1], u.shape[2]
    batch.s.n_modes, batch.s.n_heads = frequency.shape[0], decay.shape[0]
    batch.s.u, batch.s.lengths, batch.s.clock = &u[0, 0, 0], &lengths[0], &clock[0, 0, 0]
    batch.s.decay, batch.s.frequency = &decay[0], &frequency[0]
    batch.s.B, batch.s.C, batch.s.through = &B[0, 0, 0, 0], &C[0, 0, 0, 0], &through[0]
    return batch
