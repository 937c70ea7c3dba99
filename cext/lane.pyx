"""Gathers what all requests of a loop turn ask the store into one call of `gateway/limits/decide.lua`.

    judge -> Lane.batch_for -> Batch.put …        as the requests come
    Calls -> Batch.command                        one call at a time for each lane
             Batch.settle                         answers go to `Judgement.take`, or to a callable

A key's lane is a hash of it, the same on all hosts. All keys of a lane end in its hash tag (Redis Cluster
Specification, "Hash tags"), so a call of its questions concerns one node.
"""

from time import monotonic

from gateway.cext.buffer cimport buffer_free, buffer_put, buffer_put_uint
from gateway.cext.judgement cimport Judgement

cdef enum:
    # Questions in one call: Redis is busy with it for some milliseconds, and serves others, too.
    MAX_BATCH = 512
    MAX_DIGITS = 18


cdef class Batch:
    def __cinit__(self):
        self.askers = []
        self.born = monotonic()

    def __dealloc__(self):
        buffer_free(&self.keys)
        buffer_free(&self.arguments)
        buffer_free(&self.answers)

    cdef void open(self, asker, uint32_t questions) noexcept:
        """All or nothing: the next `questions` belong together."""
        self.askers.append(asker)
        put_number(&self.arguments, questions)

    cdef void put(self, const char* key, size_t size, bytes tag, bytes question) noexcept:
        """`question`: what the script takes after the key (`encoded_question`)."""
        self.questions += 1
        put_head(&self.keys, size + len(tag))
        buffer_put(&self.keys, key, size)
        buffer_put(&self.keys, <const char*>tag, len(tag))
        buffer_put(&self.keys, b"\r\n", 2)
        buffer_put(&self.arguments, <const char*>question, len(question))

    cpdef bytes command(self, bytes sha, str name):
        """The call of the script that has this hash; `name` is a text that no other call has."""
        cdef Buffer out = Buffer(NULL, 0, 0)
        cdef bytes text = name.encode()
        self.name = name
        buffer_put(&out, b"*", 1)
        buffer_put_uint(&out, 5 + self.questions + len(self.askers) + 6 * self.questions)
        buffer_put(&out, b"\r\n$7\r\nEVALSHA\r\n", 15)
        put_text(&out, sha)
        put_number(&out, self.questions)
        buffer_put(&out, self.keys.data, self.keys.size)
        put_text(&out, text)
        put_number(&out, len(self.askers))
        buffer_put(&out, self.arguments.data, self.arguments.size)
        return emptied(&out)

    cpdef bint read(self, bytes data) noexcept:
        """Whether `data` is the script's answer and nothing else: then `settle` needs no list of it."""
        self.answers.size = 0
        return read_numbers(data, len(data), 4 * self.questions, &self.answers)

    cpdef settle(self, list answers=None):
        """`answers`: four numbers for each question, if `read` has not read them. ValueError if they are
        not that many."""
        cdef size_t at = 0
        if answers is not None:
            self.keep(answers)
        if self.answers.size != 4 * self.questions * sizeof(int64_t):
            raise ValueError("the script's answer does not fit the questions")
        for asker in self.askers:
            if isinstance(asker, Judgement):
                at = (<Judgement>asker).take(self.lane, self.name, <const int64_t*>self.answers.data, at)
            else:
                answered, questions = asker
                answered(self.answers_at(at, questions))
                at += 4 * <size_t>questions
        self.resolve()

    cdef keep(self, list answers):
        cdef int64_t number
        self.answers.size = 0
        try:
            for number in answers:
                buffer_put(&self.answers, <const char*>&number, sizeof(number))
        except (TypeError, OverflowError) as error:
            raise ValueError(f"the script's answer is not of numbers: {error}") from None

    cdef list answers_at(self, size_t at, size_t questions):
        cdef size_t i
        return [(<const int64_t*>self.answers.data)[i] for i in range(at, at + 4 * questions)]

    cpdef give_up(self):
        """There will be no answer."""
        for asker in self.askers:
            if isinstance(asker, Judgement):
                (<Judgement>asker).lose()
            else:
                asker[0](None)
        self.resolve()

    cdef void resolve(self) noexcept:
        askers, self.askers = self.askers, []
        for asker in askers:
            if isinstance(asker, Judgement):
                (<Judgement>asker).resolve()


cdef class Lane:
    def __init__(self, uint32_t number, bytes tag, on_work):
        """`on_work` is called without arguments."""
        self.number = number
        self.tag = tag
        self.on_work = on_work
        self.batches = []

    @property
    def waits(self):
        """Whether a batch has not been taken."""
        return len(self.batches) > 0

    cdef Batch batch_for(self, uint32_t questions):
        """The batch that takes so many more."""
        cdef Batch batch
        if self.batches:
            batch = <Batch>self.batches[len(self.batches) - 1]
            if batch.questions + questions <= MAX_BATCH:
                return batch
        else:
            self.on_work()
        batch = Batch()
        batch.lane = self.number
        self.batches.append(batch)
        return batch

    cpdef Batch take(self):
        """The batch that has waited for longest, or None."""
        return self.batches.pop(0) if self.batches else None

    def ask(self, list questions, answered) -> None:
        """Questions that are not a request's, all or nothing. `answered` gets four numbers for each, or None.

        A question: key, terms (kind, limit, period in ms, burst), weight, and 1 if it is enforced, 0 if it is
        only counted, 2 if it is taken whether it fits or not; then a weight below 0 gives back.
        """
        cdef list texts = [  # all of them first: an error leaves nothing half done
            (key.encode(), encoded_question(encoded(terms), weight, mode))
            for key, terms, weight, mode in questions
        ]
        cdef Batch batch = self.batch_for(<uint32_t>len(texts))
        cdef bytes key_text
        batch.open((answered, len(texts)), <uint32_t>len(texts))
        for key_text, question in texts:
            batch.put(key_text, len(key_text), self.tag, question)

    cpdef charge(self, str key, tuple terms, int64_t weight):
        """Takes `weight` whether it fits or not; below 0 gives it back. Nobody waits for the answer."""
        self.ask([(key, terms, weight, <int>ASK_ALWAYS)], ignore)


def ignore(answer) -> None:
    """The next question finds out whether the store is away."""


cdef uint32_t lane_number(const char* key, size_t size, uint32_t lanes) noexcept:
    """FNV-1a (Fowler, Noll, Vo): fixed, since all hosts must agree."""
    cdef uint32_t hash = 2166136261
    cdef size_t i
    if lanes < 2:
        return 0
    for i in range(size):
        hash = (hash ^ <unsigned char>key[i]) * 16777619
    return hash % lanes


cpdef uint32_t number_of_lane(str key, uint32_t lanes):
    """The lane of a key."""
    cdef bytes text = key.encode()
    return lane_number(text, len(text), lanes)


cdef bytes emptied(Buffer* buffer):
    """What stands in it. Its memory is given back."""
    written = buffer.data[:buffer.size]
    buffer_free(buffer)
    return written


cdef bytes encoded(tuple terms):
    """Values as bulk strings (RESP 2)."""
    cdef Buffer out = Buffer(NULL, 0, 0)
    for term in terms:
        put_text(&out, str(term).encode())
    return emptied(&out)


cdef bytes encoded_question(bytes terms, int64_t weight, AskMode mode):
    """What the script takes after a key: terms (`encoded`), weight and mode."""
    cdef Buffer out = Buffer(NULL, 0, 0)
    buffer_put(&out, <const char*>terms, len(terms))
    put_number(&out, weight)
    put_number(&out, mode)
    return emptied(&out)


cdef bint read_numbers(const char* data, size_t size, size_t wanted, Buffer* out) noexcept:
    """Whether `data` is an array of `wanted` integers (RESP 2) and nothing else: they are put as int64_t."""
    cdef size_t at = 0
    cdef int64_t number = 0
    if not read_line(data, size, &at, 42, &number) or <size_t>number != wanted:
        return False
    while at < size:
        if not read_line(data, size, &at, 58, &number):
            return False
        buffer_put(out, <const char*>&number, sizeof(number))
    return out.size == wanted * sizeof(number)


cdef inline bint read_line(const char* data, size_t size, size_t* at, char kind, int64_t* number) noexcept:
    """`:-12` CR LF, with any `kind` in place of the colon. No more digits than an int64_t always has."""
    cdef size_t i = at[0] + 1
    cdef size_t first
    cdef bint negative
    cdef int64_t value = 0
    if i >= size or data[i - 1] != kind:
        return False
    negative = data[i] == 45
    i += negative
    first = i
    while i < size and 48 <= data[i] <= 57 and i - first < MAX_DIGITS:
        value = 10 * value + data[i] - 48
        i += 1
    if i == first or i + 2 > size or data[i] != 13 or data[i + 1] != 10:
        return False
    number[0] = -value if negative else value
    at[0] = i + 2
    return True


cdef inline void put_head(Buffer* out, size_t size) noexcept:
    buffer_put(out, b"$", 1)
    buffer_put_uint(out, size)
    buffer_put(out, b"\r\n", 2)


cdef inline void put_text(Buffer* out, bytes text) noexcept:
    put_head(out, len(text))
    buffer_put(out, <const char*>text, len(text))
    buffer_put(out, b"\r\n", 2)


cdef void put_number(Buffer* out, int64_t value) noexcept:
    cdef char digits[24]
    cdef int at = 24
    cdef uint64_t rest = <uint64_t>(-value if value < 0 else value)
    while True:
        at -= 1
        digits[at] = 48 + <char>(rest % 10)
        rest //= 10
        if rest == 0:
            break
    if value < 0:
        at -= 1
        digits[at] = 45
    put_head(out, 24 - at)
    buffer_put(out, digits + at, 24 - at)
    buffer_put(out, b"\r\n", 2)
