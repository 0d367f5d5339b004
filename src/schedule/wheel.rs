//! wheel
/// placeholder
pub struct Wheel;
