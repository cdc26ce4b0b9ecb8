"""KSM: ksmd scans anonymous pages and merges those with the same contents (mm/ksm.c).

    scan     one entry after another: cmp_and_merge_page()
    tree     stable nodes and the page of each: get_ksm_page()
    merge    write-protect a page, compare it, replace it: try_to_merge_one_page()
    unmerge  give an entry a copy of its own: break_ksm()

Where ksmd is between two steps is in the row of World.ksmd; tasks.page is the page it looks at, tasks.second the page
to merge it with, tasks.argument the number of pages looked at since it last slept.
"""
