// rosebud-sim: the cores in virtual time.
#include "apps/sim/commands.h"

int main(int argc, char** argv) {
  CLI::App app{"The cores of Rosebud in virtual time, with faults and checkers"};
  app.require_subcommand(1);
  int exit_code = 0;
  rosebud::add_object_commands(app, exit_code);
  rosebud::add_pbft_commands(app, exit_code);
  rosebud::add_service_commands(app, exit_code);
  rosebud::add_section10_commands(app, exit_code);
  rosebud::add_routing_commands(app, exit_code);
  CLI11_PARSE(app, argc, argv);
  return exit_code;
}
