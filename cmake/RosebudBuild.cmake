# Compiler settings and the two functions that every folder uses: rosebud_library and rosebud_test.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
add_compile_options(-fPIC)  # librosebud.so is made of the same objects as everything else
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g" CACHE STRING "Flags of a debug build")

find_program(ROSEBUD_CCACHE ccache)
if(ROSEBUD_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The sloppiness is what ccache needs to accept precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${ROSEBUD_CCACHE})
endif()

find_program(ROSEBUD_MOLD mold)
if(ROSEBUD_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Werror
                    -fno-omit-frame-pointer -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # gcc 12 reports these inside the standard library when it inlines; clang finds the real ones.
  add_compile_options(-Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds
                      -Wno-maybe-uninitialized -Wno-free-nonheap-object
                      -Wno-missing-field-initializers)
else()
  # Without a time stamp inside, ccache can share a precompiled header.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp" -Wno-missing-field-initializers
                      -Wno-missing-designated-field-initializers)
endif()

set(ROSEBUD_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=")
if(ROSEBUD_SANITIZE)
  add_compile_options(-fsanitize=${ROSEBUD_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ROSEBUD_SANITIZE})
endif()
option(ROSEBUD_DCHECKS "Costly checks" OFF)
if(ROSEBUD_DCHECKS)
  add_compile_definitions(ROSEBUD_DCHECKS)
endif()

# Never for use: breaks one rule of the protocol on purpose (src/objects/planted_bugs.h).
option(ROSEBUD_PLANTED_BUGS "Let rosebud-sim plant bugs" OFF)
if(ROSEBUD_PLANTED_BUGS)
  add_compile_definitions(ROSEBUD_PLANTED_BUGS)
endif()

find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(GTest REQUIRED)
include(GoogleTest)

# rosebud_library(base SOURCES a.cc ... DEPS crypto ... LIBS OpenSSL::Crypto ... PRIVATE_LIBS ...)
# Makes rosebud_base, which may include what stands in src/base and in its DEPS.
function(rosebud_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS;PRIVATE_LIBS" ${ARGN})
  add_library(rosebud_${name} STATIC ${ARG_SOURCES})
  target_include_directories(rosebud_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(rosebud_${name} PUBLIC rosebud_${dep})
  endforeach()
  target_link_libraries(rosebud_${name} PUBLIC ${ARG_LIBS} PRIVATE ${ARG_PRIVATE_LIBS} Threads::Threads)
  if(name STREQUAL "base")
    target_compile_options(rosebud_base PRIVATE -pthread)
    target_precompile_headers(rosebud_base PRIVATE ${CMAKE_SOURCE_DIR}/src/base/precompiled.h)
  else()
    target_compile_options(rosebud_${name} PRIVATE -pthread)
    target_precompile_headers(rosebud_${name} REUSE_FROM rosebud_base)
  endif()
endfunction()

# rosebud_test(base SOURCES bytes_test.cc ... DEPS ... LIBS ...)
# Makes base_test with GoogleTest's main, one ctest entry per test. A second executable for the same
# library has a name of its own: rosebud_test(disk_crash OF disk ...).
function(rosebud_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;OF" "SOURCES;DEPS;LIBS" ${ARGN})
  if(NOT ARG_OF)
    set(ARG_OF ${name})
  endif()
  add_executable(${name}_test ${ARG_SOURCES})
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${name}_test PRIVATE rosebud_${dep})
  endforeach()
  target_link_libraries(${name}_test PRIVATE rosebud_${ARG_OF} ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE ROSEBUD_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST
                       PROPERTIES TIMEOUT ${ARG_TIMEOUT}
                                  ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp")
endfunction()
