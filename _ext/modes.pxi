# Memories in the coordinates of modes.h.
cdef extern from "modes.h" nogil:
    enum: MAX_RANK
    ctypedef struct modes_t:
        Py_ssize_t n_modes
        int rank
        double damping, implicit
        double b[MAX_RANK]
        const void* frequency
        const void* V
        const void* origin


cdef modes_t _modes(Py_ssize_t n_modes, const double[::1] b, double damping, double implicit) noexcept:
    """What does not depend on the precision; the arrays are the caller's."""
    cdef modes_t m
    cdef Py_ssize_t r
    m.n_modes, m.rank, m.damping, m.implicit = n_modes, b.shape[0], damping, implicit
    for r in range(b.shape[0]):
        m.b[r] = b[r]
    return m
