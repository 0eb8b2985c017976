# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Long tables: which series a row is of, and the order of rows by series and time."""
from libc.stdint cimport int64_t

ctypedef fused tick_t:
    int64_t
    double

cdef enum:
    BITS = 11  # of a digit, whose counts stay in the cache


def find(
    dict index,                          # IN    id -> number
    list ids,                            # IN    (n_rows,)
    type kind,                           # IN    of every id
    Py_ssize_t next_number,              # IN    the number of the first new id
    dict fresh,                          # INOUT id -> number, of those that are not in the index
    Py_ssize_t[::1] numbers,             # OUT   (n_rows,)
):
    """Number the ids of rows; return the first row whose id is of another kind, where it stops, or -1."""
    cdef Py_ssize_t i
    cdef object found, item
    for i in range(numbers.shape[0]):
        item = ids[i]
        if type(item) is not kind:
            return i
        found = index.get(item)
        if found is None:
            found = fresh.get(item)
            if found is None:
                found = next_number + len(fresh)
                fresh[item] = found
        numbers[i] = found
    return -1


def sort(
    const Py_ssize_t[::1] numbers,       # IN    (n_rows,) of the series, none of them negative
    const tick_t[::1] ticks,             # IN    (n_rows,)
    Py_ssize_t[::1] order,               # OUT   (n_rows,)
    Py_ssize_t[::1] other,               # WORK  (n_rows,)
    Py_ssize_t budget,                   # IN    moves of a row by one place, before it gives up
):
    """Order rows by series and then by time, those of one time as they come; return whether that was possible.

    By the digits of the series' numbers; then by insertion, since the rows of a series are mostly in order of time.
    """
    cdef Py_ssize_t i, j, n = numbers.shape[0], item, largest = 0, count, total, moves = 0
    cdef int shift = 0
    cdef Py_ssize_t[1 << BITS] begins
    cdef Py_ssize_t* source = &order[0]
    cdef Py_ssize_t* target = &other[0]
    cdef bint done = True
    with nogil:
        for i in range(n):
            source[i] = i
            largest = max(largest, numbers[i])
            done = done and (i == 0 or numbers[i - 1] <= numbers[i])
        while not done:
            for j in range(1 << BITS):
                begins[j] = 0
            for i in range(n):
                begins[(numbers[i] >> shift) & ((1 << BITS) - 1)] += 1
            total = 0
            for j in range(1 << BITS):
                count = begins[j]
                begins[j] = total
                total += count
            for i in range(n):
                j = (numbers[source[i]] >> shift) & ((1 << BITS) - 1)
                target[begins[j]] = source[i]
                begins[j] += 1
            source, target = target, source
            shift += BITS
            done = shift >= 63 or (largest >> shift) == 0
        if source != &order[0]:
            for i in range(n):
                order[i] = other[i]
        for i in range(1, n):
            item = order[i]
            j = i
            while j > 0 and numbers[order[j - 1]] == numbers[item] and ticks[order[j - 1]] > ticks[item]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = item
            moves += i - j
            if moves > budget:
                break
    return moves <= budget
