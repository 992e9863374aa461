# belfry_room(NAME hub DEPS base model log LINKS third::party SOURCES hub.cc hub.h ...)
#
# One room is one folder, one static library belfry::<name> and, when it has *_test.cc files, one test program.
# DEPS are the rooms this one may include; tools/tidy.py reads the same line, so the link graph, the include
# check and the map in ARCHITECTURE.md cannot disagree.
#
# asan, tsan and fuzz compile several files of a room as one (CMAKE_UNITY_BUILD), which costs them less than half:
# most of a file's time goes into headers. Where two files have their own function of one name, one of them stands
# alone (SKIP_UNITY_BUILD_INCLUSION). The release compiles each file by itself.
function(belfry_room)
  cmake_parse_arguments(ROOM "" "NAME" "DEPS;LINKS;TEST_LINKS;SOURCES" ${ARGN})
  if(ROOM_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "belfry_room(${ROOM_NAME}): unknown: ${ROOM_UNPARSED_ARGUMENTS}")
  endif()
  set(tests ${ROOM_SOURCES})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER ROOM_SOURCES EXCLUDE REGEX "_test\\.cc$")

  add_library(belfry_${ROOM_NAME} STATIC ${ROOM_SOURCES})
  add_library(belfry::${ROOM_NAME} ALIAS belfry_${ROOM_NAME})
  target_include_directories(belfry_${ROOM_NAME} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_compile_features(belfry_${ROOM_NAME} PUBLIC cxx_std_20)
  list(TRANSFORM ROOM_DEPS PREPEND belfry::)
  target_link_libraries(belfry_${ROOM_NAME} PUBLIC ${ROOM_DEPS} PRIVATE ${ROOM_LINKS})

  if(tests AND BUILD_TESTING)
    add_executable(${ROOM_NAME}_test ${tests})
    target_link_libraries(${ROOM_NAME}_test
      PRIVATE belfry::${ROOM_NAME} ${ROOM_LINKS} ${ROOM_TEST_LINKS} GTest::gtest_main)
    target_compile_definitions(${ROOM_NAME}_test PRIVATE BELFRY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    add_dependencies(belfry_tests ${ROOM_NAME}_test)
    gtest_discover_tests(${ROOM_NAME}_test TEST_PREFIX ${ROOM_NAME}. DISCOVERY_TIMEOUT 60)
  endif()
endfunction()
