//! A source of randomness for crates that ask `getrandom`: the host's.
#![expect(unsafe_code, reason = "the symbol that getrandom calls takes a raw buffer")]

/// Fills `length` bytes at `destination`, as `getrandom`'s custom backend asks.
///
/// # Safety
/// `destination` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(
    destination: *mut u8,
    length: usize,
) -> Result<(), getrandom::Error> {
    let bytes = wasip2::random::random::get_random_bytes(length as u64);
    if bytes.len() != length {
        return Err(getrandom::Error::UNEXPECTED);
    }
    // SAFETY: the caller vouches for the destination, and the bytes are exactly as many.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), destination, length) };
    Ok(())
}
