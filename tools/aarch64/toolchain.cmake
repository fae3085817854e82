# Debian's cross compiler for aarch64. Python itself is the emulated one, which CMake asks as it would ask any other.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
