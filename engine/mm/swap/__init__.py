"""Swap of anonymous pages: reclaim unmaps them and frees them, a fault brings them back.

    cache     the swap cache and the slots of the swap area
    unmap     entries become swap entries; the TLB flushes that this defers
    reclaim   shrink_page_list() for the pages of one address space
    swap_in   do_swap_page()

The swap device writes and reads a page while the task waits, as zram does. The short cut past the swap cache that 4.15
has for such devices is not modelled.
"""
