// What rosebud-sim can do, one function for each core.
#pragma once

#include <CLI/CLI.hpp>

namespace rosebud {

/// `rosebud-sim run|swarm|scenarios|bugs`: replicas and clients of the object store.
void add_object_commands(CLI::App& app, int& exit_code);
/// `rosebud-sim pbft run|swarm|scenarios|bugs`: a group of replicas that agree on an order.
void add_pbft_commands(CLI::App& app, int& exit_code);
/// `rosebud-sim service run|swarm|scenarios|bugs`: the configuration service, on whole nodes.
void add_service_commands(CLI::App& app, int& exit_code);
/// `rosebud-sim section10`: a model of the rules by which the epoch changes at a replica.
void add_section10_commands(CLI::App& app, int& exit_code);
/// `rosebud-sim routing`: the overlay of many peers.
void add_routing_commands(CLI::App& app, int& exit_code);

}  // namespace rosebud
