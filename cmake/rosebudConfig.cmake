# find_package(rosebud): the target rosebud::rosebud, with the header rosebud/rosebud.h (C++23).
include("${CMAKE_CURRENT_LIST_DIR}/rosebudTargets.cmake")
