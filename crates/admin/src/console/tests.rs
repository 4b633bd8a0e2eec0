mod drivers;
mod support;
mod talks;
