//! The heap of a plugin: a room within its initial memory, and the standard heap behind that.
//!
//! The standard allocator grows the memory at its first allocation. In a fresh instance a call that
//! is two changes of page protection in every call, one to grow and one when the host takes the
//! room back, and each of them stops all processors for a moment. What fits into the room costs
//! neither. An instance lives for one call, so of what is freed only the newest block is used again.
//!
//! INVARIANT: no two blocks that are in use overlap; what does not fit is the standard heap's.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Several times what a read of a small secret needs. Pages of it that are never touched cost
/// nothing.
const SIZE: usize = 256 << 10;
/// Blocks with stricter demands are the standard heap's.
const ALIGNMENT: usize = 16;

#[cfg(target_family = "wasm")]
#[global_allocator]
static HEAP: Heap = Heap::new();

struct Heap {
    room: Room,
    /// Bytes from the beginning of the room that are handed out.
    used: AtomicUsize,
}

#[repr(align(16))]
struct Room(UnsafeCell<[u8; SIZE]>);

// SAFETY: the bytes are reached through blocks only, and `used` hands out each byte once.
unsafe impl Sync for Room {}

impl Heap {
    const fn new() -> Self {
        Self { room: Room(UnsafeCell::new([0; SIZE])), used: AtomicUsize::new(0) }
    }

    fn base(&self) -> *mut u8 {
        self.room.0.get().cast()
    }

    /// A block of the room, if it fits there.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let begin = |used: usize| used.next_multiple_of(layout.align());
        let end = |used: usize| begin(used).checked_add(layout.size()).filter(|end| *end <= SIZE);
        if layout.align() > ALIGNMENT {
            return None;
        }
        let used = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end).ok()?;
        Some(self.base().wrapping_add(begin(used)))
    }

    /// Where in the room the block begins, if it lies there.
    fn place(&self, block: *mut u8) -> Option<usize> {
        let at = block.addr().wrapping_sub(self.base().addr());
        (at < SIZE).then_some(at)
    }

    /// Lets the block at `at` have `to` bytes instead of `from`: only the newest can.
    fn resize(&self, at: usize, from: usize, to: usize) -> bool {
        let (old, new) = (at.saturating_add(from), at.saturating_add(to));
        new <= SIZE
            && self.used.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

// SAFETY: a block is from the room, where `take` gives each byte to one block until the block is
// freed as the newest, or from the standard heap, and goes back to where it came from.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that the standard heap asks for.
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.place(block) {
            Some(at) => {
                self.resize(at, layout.size(), 0);
            }
            // SAFETY: not of the room, so it came from the standard heap, with this layout.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(at) = self.place(block) else {
            // SAFETY: not of the room, so it came from the standard heap, with this layout.
            return unsafe { System.realloc(block, layout, size) };
        };
        if self.resize(at, layout.size(), size) {
            return block;
        }
        // SAFETY: the caller promises that `size` is a valid one for this alignment; the new block
        // is another one, and both have the bytes that are copied.
        unsafe {
            let to = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !to.is_null() {
                to.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    /// Writes the whole block, which a tool that watches memory would complain about if it were not
    /// ours, and answers where it lies in the room.
    fn fill(heap: &Heap, layout: Layout, with: u8) -> (*mut u8, Option<usize>) {
        // SAFETY: the layout is not empty, and the block has as many bytes.
        let block = unsafe {
            let block = heap.alloc(layout);
            block.write_bytes(with, layout.size());
            block
        };
        (block, heap.place(block))
    }

    #[test]
    fn blocks_follow_one_another_as_their_alignment_demands() {
        static HEAP: Heap = Heap::new();
        let odd = Layout::from_size_align(3, 1).unwrap();
        assert_eq!(fill(&HEAP, odd, 1).1, Some(0));
        assert_eq!(fill(&HEAP, bytes(8), 2).1, Some(8));
        assert_eq!(fill(&HEAP, odd, 3).1, Some(16));
        let page = Layout::from_size_align(64, 4096).unwrap();
        let (block, place) = fill(&HEAP, page, 4);
        assert_eq!((block.addr() % 4096, place), (0, None));
    }

    #[test]
    fn what_does_not_fit_is_the_standard_heaps_from_beginning_to_end() {
        static HEAP: Heap = Heap::new();
        let (block, place) = fill(&HEAP, bytes(SIZE + 1), 7);
        assert_eq!(place, None);
        // SAFETY: the block is of this heap and has this layout.
        let block = unsafe { HEAP.realloc(block, bytes(SIZE + 1), 2 * SIZE) };
        assert_eq!(HEAP.place(block), None);
        // SAFETY: as above.
        unsafe { HEAP.dealloc(block, bytes(2 * SIZE)) };
        assert_eq!(fill(&HEAP, bytes(SIZE), 1).1, Some(0));
        assert_eq!(fill(&HEAP, bytes(1), 1).1, None);
    }

    #[test]
    fn the_newest_block_grows_in_place_and_its_room_is_used_again() {
        static HEAP: Heap = Heap::new();
        let (block, _) = fill(&HEAP, bytes(16), 1);
        // SAFETY: the block is of this heap and has this layout, here and below.
        assert_eq!(unsafe { HEAP.realloc(block, bytes(16), 64) }, block);
        // SAFETY: as above.
        unsafe { HEAP.dealloc(block, bytes(64)) };
        assert_eq!(fill(&HEAP, bytes(8), 1).1, Some(0));
    }

    #[test]
    fn an_older_block_moves_and_takes_its_bytes_along() {
        static HEAP: Heap = Heap::new();
        let (block, _) = fill(&HEAP, bytes(16), 9);
        fill(&HEAP, bytes(16), 1);
        // SAFETY: the blocks are of this heap and have these layouts, and both were written.
        let moved = unsafe {
            let moved = HEAP.realloc(block, bytes(16), 32);
            assert_eq!(std::slice::from_raw_parts(moved, 16), [9; 16]);
            moved
        };
        assert_eq!(HEAP.place(moved), Some(32));
        // SAFETY: as above.
        let outside = unsafe { HEAP.realloc(moved, bytes(32), SIZE) };
        assert_eq!(HEAP.place(outside), None);
        // SAFETY: as above.
        assert_eq!(unsafe { std::slice::from_raw_parts(outside, 16) }, [9; 16]);
    }
}
