"""Number the tasks, pages and files of one recording in order of first appearance.

(dev, ino, index) --add/delete lines--> page row <--- pfn --- folio address (probes)
       |                                   |
    file row <--------- mapping -----------+   learned from a probe's line about a page known to be in a file
"""

from __future__ import annotations

from array import array

from engine.cast import STRUCT_PAGE_BYTES, VMEMMAP_BASE
from engine.events import NONE
from engine.recordings.limits import Limits, too_large

PFN_MAX = 1 << 40
_KERNEL_HALF = 0x1FFFF
"""Bits 47 to 63 of an address of the kernel (x86-64, four levels of page tables)."""
_MADE_UP = 0xFFFF888000000000
"""Start of the direct map without address randomisation; files whose address was not seen get addresses from here."""
_MADE_UP_STEP = 0x1000
_GIB = 1 << 30
_VMEMMAP_BYTES = 1 << 34
"""struct pages of 1 TiB of memory."""
_INDEX_BITS = 52
_ADDRESS_DIGITS = 18
_FILE_CHARS = 64


class Cast:
    """The rows so far. Methods raise ValueError for a value out of its field's range, BadRecording above a limit."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.tasks: dict[bytes, int] = {}  # by pid: a thread may be renamed while it waits, but keeps its pid
        self.comms: list[bytes] = []
        self.pages: dict[int, int] = {}  # by pfn
        self._named: dict[bytes, int] = {}  # by address as printed
        self.files: dict[bytes, int] = {}
        self.addresses: list[int] = []  # per file: address of its address_space, 0 until seen
        self._learned: set[int] = set()
        self._at: dict[int, int] = {}  # place in a file -> page row
        self._place = array("q")  # page row -> place in a file, or -1
        self.vmemmap_base: int | None = None

    def task(self, pid: bytes, comm: bytes) -> int:
        """Return the row of a thread; keep its latest name other than <...>."""
        row = self.tasks.get(pid)
        if row is None:
            row = len(self.comms)
            if row >= self._limits.tasks:
                raise too_large(f"The recording has more than {self._limits.tasks} threads. Record fewer.")
            self.tasks[pid] = row
            self.comms.append(comm)
        elif self.comms[row] != comm and comm != b"<...>":
            self.comms[row] = comm
        return row

    def page(self, pfn: int) -> int:
        """Return the row of a page frame."""
        row = self.pages.get(pfn)
        if row is None:
            if not 0 <= pfn < PFN_MAX:
                raise ValueError("no page frame has this number or address")
            row = len(self._place)
            if row >= self._limits.pages:
                raise too_large(f"The recording has more than {self._limits.pages} pages. Record less of it.")
            self.pages[pfn] = row
            self._place.append(-1)
        return row

    def page_named(self, address: bytes) -> int:
        """Return the row of the page whose struct page is at this hexadecimal address.

        The array of struct pages begins at 0xffffea0000000000 or, with address randomisation, at a multiple of 1 GiB
        that must be guessed from the first address: the one that makes it a page known from an add line, else the
        next one below (correct up to 64 GiB of memory). 5.10 prints both address and number, so nothing is guessed.
        """
        row = self._named.get(address)
        if row is None:
            if len(address) > _ADDRESS_DIGITS:
                raise ValueError("no address is that long")
            word = int(address, 16)
            if self.vmemmap_base is None:
                self.vmemmap_base = self._guess(word)
            pfn, odd = divmod(word - self.vmemmap_base, STRUCT_PAGE_BYTES)
            if odd:
                raise ValueError("no struct page stands at this address")
            if len(self._named) > self._limits.pages:  # leading zeros can give a page many names
                self._named.clear()
            row = self._named[address] = self.page(pfn)
        return row

    def _guess(self, address: int) -> int:
        if 0 <= address - VMEMMAP_BASE < _VMEMMAP_BYTES:
            return VMEMMAP_BASE
        if address >> 47 != _KERNEL_HALF:
            raise ValueError("no address of the kernel")
        below = address - address % _GIB
        bases = range(below, below - _VMEMMAP_BYTES, -_GIB)
        return next((base for base in bases if (address - base) // STRUCT_PAGE_BYTES in self.pages), below)

    def page_stands_at(self, pfn: int, address: int) -> None:
        """Learn the base from a line with both number and address of a page; an unaligned base is a hashed address."""
        base = address - STRUCT_PAGE_BYTES * pfn
        if self.vmemmap_base is None and base >> 47 == _KERNEL_HALF and base % _GIB == 0:
            self.vmemmap_base = base

    def file(self, device: bytes, inode: bytes) -> int:
        """Return the row of a file: device as printed, inode in hexadecimal."""
        key = device + b" " + inode
        row = self.files.get(key)
        if row is None:
            if not 0 <= int(inode, 16) < 1 << 64 or len(key) > _FILE_CHARS:
                raise ValueError("no device or inode is called this")
            row = len(self.addresses)
            if row >= self._limits.files:
                raise too_large(f"The recording has more than {self._limits.files} files. Record fewer.")
            self.files[key] = row
            self.addresses.append(0)
        return row

    def inserted(self, page: int, file: int, index: int) -> None:
        """Note that a page now holds a file's index."""
        at, places = self._at, self._place
        place = file << _INDEX_BITS | index
        if places[page] >= 0:
            at.pop(places[page], None)
        if place in at:
            places[at[place]] = -1
        at[place] = page
        places[page] = place

    def removed(self, page: int) -> None:
        """Note that a page is no longer in a file."""
        if self._place[page] >= 0:
            self._at.pop(self._place[page], None)
            self._place[page] = -1

    def page_of(self, file: int, index: int) -> int:
        """Return the row of the page known to hold a file's index (of a large folio: its first), or NONE."""
        return self._at.get(file << _INDEX_BITS | index, NONE)

    def shows(self, page: int, index: int, mapping: int) -> None:
        """Learn a file's address from a line about a page known to hold this index of the file."""
        place = self._place[page]
        if place < 0 or mapping & 3 or mapping >> 47 != _KERNEL_HALF:
            return
        file = place >> _INDEX_BITS
        if not self.addresses[file] and index == place & (1 << _INDEX_BITS) - 1 and mapping not in self._learned:
            self.addresses[file] = mapping
            self._learned.add(mapping)

    def file_addresses(self) -> list[int]:
        """Return each file's address, all distinct; an unseen one is made up within the kernel's direct map."""
        taken = set(self._learned)
        addresses = []
        for row, seen in enumerate(self.addresses):
            address = seen or _MADE_UP + row * _MADE_UP_STEP
            while not seen and address in taken:
                address += _MADE_UP_STEP * len(self.addresses)
            taken.add(address)
            addresses.append(address)
        return addresses
