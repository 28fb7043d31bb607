#include "apps/rosebud/identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "apps/rosebud/decree_commands.h"
#include "apps/rosebud/recover_commands.h"
#include "base/files.h"
#include "client/record_writer.h"
#include "crypto/key_file.h"
#include "disk/directory.h"
#include "net/connection.h"
#include "runtime/service_files.h"
#include "runtime/statement_file.h"
#include "service/draw.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

constexpr const char* kAuthorityKey = "authority.key";

void check_name(const std::string& name) {
  if (wire::is_name(name)) return;
  stop(ExitCode::kUsage, {.what = "'" + name + "' is no name",
                          .cause = "names have 1 to 32 of a-z, 0-9 and '-' inside",
                          .next = "choose another name"});
}

crypto::Digest random_digest() {
  crypto::Digest out;
  crypto::fill_random(out.bytes);
  return out;
}

}  // namespace

std::uint64_t wall_seconds() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

crypto::SecretKey make_organisation(const stdfs::path& folder, const std::string& name) {
  check_name(name);
  or_stop(make_folder(folder));
  const auto key = crypto::SecretKey::generate();
  or_stop(crypto::write_secret_key(folder / kAuthorityKey, key));
  or_stop(replace_file(
      folder / "organisation.json",
      nlohmann::json{{"name", name}, {"authority", to_hex(key.public_key().view())}}.dump() +
          "\n"));
  return key;
}

namespace {

void write_node_request(const stdfs::path& folder, const NodeRequest& request) {
  nlohmann::json json{{"name", request.name},
                      {"key", to_hex(request.key.view())},
                      {"directory", to_hex(request.directory.view())},
                      {"address", request.address},
                      {"capacity_bytes", request.capacity_bytes}};
  if (!request.commitment.is_zero()) {
    json["epoch_key"] = to_hex(request.epoch_key.view());
    json["commitment"] = to_hex(request.commitment.view());
  }
  or_stop(replace_file(folder / "node.request.json", json.dump() + "\n"));
}

}  // namespace

crypto::SecretKey authority_in(const stdfs::path& organisation) {
  return or_stop(crypto::read_secret_key(organisation / kAuthorityKey));
}

NodeRequest make_node(const stdfs::path& folder, const std::string& name,
                      const std::string& address, std::uint64_t capacity_bytes) {
  check_name(name);
  if (!net::parse_address(address)) {
    stop(ExitCode::kUsage, {.what = "'" + address + "' is no address",
                            .cause = "an address is host:port",
                            .next = {}});
  }
  or_stop(make_folder(folder));
  const auto key = crypto::SecretKey::generate();
  or_stop(crypto::write_secret_key(folder / "node.key", key));
  NodeRequest out{.name = name,
                  .key = key.public_key(),
                  .directory = disk::new_directory_id(),
                  .address = address,
                  .capacity_bytes = capacity_bytes};
  // Only the node itself ever knows it. It is erased with the first epoch.
  const auto epoch_key = crypto::SecretKey::generate();
  or_stop(crypto::write_secret_key(
      runtime::epoch_key_path(folder / "node.key", {wire::Generation(0), wire::Epoch(1)}),
      epoch_key));
  out.epoch_key = epoch_key.public_key();
  out.commitment = service::commitment_of(out.key, service::share_of(epoch_key));
  write_node_request(folder, out);
  return out;
}

std::string text_in(const nlohmann::json& json, const char* name) {
  return json.is_object() && json.contains(name) && json[name].is_string()
             ? json[name].get<std::string>()
             : std::string();
}

NodeRequest read_node_request(const stdfs::path& file) {
  const auto json = nlohmann::json::parse(or_stop(read_text_file(file, 65536)), nullptr, false);
  NodeRequest out{.name = text_in(json, "name"), .address = text_in(json, "address")};
  const auto key = from_hex(text_in(json, "key"));
  const auto directory = from_hex(text_in(json, "directory"));
  const bool is_whole = json.is_object() && key && key->size() == 32 && directory &&
                        directory->size() == 16 && json.contains("capacity_bytes") &&
                        json["capacity_bytes"].is_number_unsigned();
  if (!is_whole) {
    stop(ExitCode::kUsage, {.what = file.string() + " is no node request",
                            .cause = "it was changed, or another file was named",
                            .next = "make one with `rosebud node new`"});
  }
  out.key = *wire::NodeKey::from(*key);
  out.directory = *wire::DirectoryId::from(*directory);
  out.capacity_bytes = json["capacity_bytes"].get<std::uint64_t>();
  const auto epoch_key = from_hex(text_in(json, "epoch_key"));
  const auto commitment = from_hex(text_in(json, "commitment"));
  if (epoch_key && epoch_key->size() == 32 && commitment && commitment->size() == 32) {
    out.epoch_key = *crypto::PublicKey::from(*epoch_key);
    out.commitment = *crypto::Digest::from(*commitment);
  }
  return out;
}

NodeRequest renew_node(const stdfs::path& folder) {
  NodeRequest out = read_node_request(folder / "node.request.json");
  out.directory = disk::new_directory_id();
  // The key for a seat in the first service is of no use in a later one.
  out.epoch_key = {};
  out.commitment = {};
  write_node_request(folder, out);
  return out;
}

namespace {

/// 3F+1 nodes, at most F of one organisation (one at F = 0), in the order of the list.
void seat_first_service(membership::Genesis& genesis,
                        const std::vector<const NodeRequest*>& requests) {
  const std::size_t faults = genesis.settings.service_faults;
  const std::size_t members = 3 * faults + 1;
  std::map<std::uint32_t, std::size_t> taken;
  for (std::uint32_t i = 0; i < requests.size() && genesis.service.size() < members; ++i) {
    if (requests[i]->epoch_key == crypto::PublicKey{}) continue;
    std::size_t& of_organisation = taken[genesis.nodes[i].organisation];
    if (of_organisation == std::max<std::size_t>(faults, 1)) continue;
    ++of_organisation;
    // The commitment: so that nobody knows R of epoch 2 when the first keys ask for admission
    // (design 8.3).
    genesis.service.push_back(
        {.node = i, .epoch_key = requests[i]->epoch_key, .commitment = requests[i]->commitment});
  }
  if (genesis.service.size() == members) return;
  stop(
      ExitCode::kUsage,
      {.what = fmt::format("the configuration service needs {} nodes that made a key for it, at "
                           "most {} of one organisation; there are {}",
                           members, std::max<std::size_t>(faults, 1), genesis.service.size()),
       .cause = "node requests were made by an earlier version, or there are too few organisations",
       .next = "make the requests again: rosebud node new"});
}

}  // namespace

membership::SignedGenesis make_genesis(const std::vector<OrganisationPlan>& plan,
                                       const membership::Settings& settings) {
  const std::size_t seats = 3 * settings.faults + 1;
  std::size_t fillable = 0;
  std::vector<std::uint64_t> capacities;
  for (const auto& organisation : plan) {
    fillable += std::min<std::size_t>(organisation.nodes.size(), settings.cap);
    for (const auto& node : organisation.nodes) capacities.push_back(node.capacity_bytes);
  }
  if (fillable < seats) {
    stop(ExitCode::kUsage,
         {.what = fmt::format(
              "f = {} needs {} replicas of every object with at most {} in one organisation; these "
              "organisations fill {}",
              settings.faults, seats, settings.cap, fillable),
          .cause = "there are too few organisations, or some have too few nodes",
          .next = fmt::format("have at least {} organisations",
                              (seats + settings.cap - 1) / settings.cap)});
  }
  std::ranges::sort(capacities);
  const std::uint64_t median = capacities[capacities.size() / 2];
  membership::Genesis genesis{.start = Timestamp(wall_seconds()), .settings = settings};
  genesis.settings.has_leases = settings.epoch_seconds > 0;
  // An outage of the service does not stop the store at once (design 7).
  if (settings.epoch_seconds > 0)
    genesis.end = Timestamp(genesis.start.value + 3 * settings.epoch_seconds);
  std::vector<const NodeRequest*> requests;  // by index of the node
  for (std::uint32_t i = 0; i < plan.size(); ++i) {
    genesis.organisations.push_back({.name = plan[i].name,
                                     .authority = plan[i].authority.public_key(),
                                     .quota_bytes = plan[i].quota_bytes});
    genesis.reveals.push_back(random_digest());
    genesis.commitments.push_back(
        membership::commitment_of(plan[i].authority.public_key(), genesis.reveals.back()));
    for (const NodeRequest& node : plan[i].nodes) {
      requests.push_back(&node);
      genesis.nodes.push_back(
          {.name = node.name,
           .key = node.key,
           .organisation = i,
           .directory = node.directory,
           .address = node.address,
           .capacity_bytes = node.capacity_bytes,
           .position_count = membership::position_count_for(node.capacity_bytes, median)});
    }
  }
  seat_first_service(genesis, requests);
  membership::SignedGenesis out{.genesis = genesis.encode()};
  for (const auto& organisation : plan) {
    out.signatures.push_back(
        crypto::ed25519().sign(organisation.authority, membership::Genesis::kTag, out.genesis));
  }
  or_stop(membership::verify_genesis(out, std::nullopt, crypto::ed25519()));
  return out;
}

namespace {

wire::SignedBytes sign_admission(const crypto::SecretKey& authority,
                                 const crypto::ClusterId& cluster, std::uint64_t days,
                                 wire::AdmissionStatement statement) {
  check_name(statement.name);
  const std::uint64_t now = wall_seconds();
  statement.cluster = cluster;
  statement.organisation = authority.public_key();
  statement.not_before = Timestamp(now - kStatementsEarlier);
  statement.not_after = Timestamp(now + days * 86400);
  return wire::sign(crypto::ed25519(), authority, statement);
}

}  // namespace

wire::SignedBytes admit_client(const crypto::SecretKey& authority, const crypto::ClusterId& cluster,
                               const crypto::PublicKey& subject, const std::string& name,
                               std::uint64_t capacity_bytes, std::uint64_t days) {
  return sign_admission(authority, cluster, days,
                        {.subject = subject,
                         .role = wire::Role::kClient,
                         .capacity_bytes = capacity_bytes,
                         .name = name});
}

wire::SignedBytes admit_node(const crypto::SecretKey& authority, const crypto::ClusterId& cluster,
                             const NodeRequest& node, std::uint64_t days) {
  return sign_admission(authority, cluster, days,
                        {.subject = node.key,
                         .role = wire::Role::kNode,
                         .capacity_bytes = node.capacity_bytes,
                         .directory = node.directory,
                         .name = node.name,
                         .address = node.address});
}

void write_client_folder(const stdfs::path& folder, const membership::SignedGenesis& genesis,
                         const stdfs::path& genesis_file, const wire::SignedBytes& admission,
                         const stdfs::path& key_file, const stdfs::path& development) {
  or_stop(make_folder(folder));
  or_stop(runtime::write_statement(folder / "client.admission", admission));
  std::string text = "# How a client finds its cluster. Paths are relative to this file.\n";
  text += "cluster = \"" + to_hex(genesis.cluster().view()) + "\"\n";
  text += "genesis = \"" + genesis_file.string() + "\"\n";
  text += "key = \"" + key_file.string() + "\"\n";
  text += "admission = \"client.admission\"\n";
  text += "state = \"" + std::string(kClientState) + "\"\n";
  if (!development.empty()) text += "development = \"" + development.string() + "\"\n";
  or_stop(replace_file(folder / "rosebud.toml", text));
}

// ---- Commands ----

namespace {

struct IdentityOptions {
  std::string name;
  std::string folder = ".";
  std::string address;
  std::string organisation;
  std::string genesis;
  std::string request;
  std::string key;
  std::uint64_t capacity_gib = 100;
  std::uint64_t quota_gib = 100;
  std::uint64_t days = 365;
  std::uint32_t faults = 1;
  std::uint64_t epoch_seconds = 3600;
  std::vector<std::string> organisations;
};

/// DIR or DIR:QUOTA_GIB; nodes are the requests below DIR/nodes.
OrganisationPlan read_organisation(const std::string& folder, std::uint64_t quota_gib) {
  const auto json = nlohmann::json::parse(
      or_stop(read_text_file(stdfs::path(folder) / "organisation.json", 65536)), nullptr, false);
  if (!json.is_object() || !json.contains("name")) {
    stop(ExitCode::kUsage, {.what = folder + " has no organisation",
                            .cause = {},
                            .next = "make one: rosebud org new NAME"});
  }
  OrganisationPlan out{.name = json["name"].get<std::string>(),
                       .authority = authority_in(folder),
                       .quota_bytes = quota_gib << 30};
  std::error_code error;
  std::vector<stdfs::path> requests;
  for (stdfs::recursive_directory_iterator it(stdfs::path(folder) / "nodes", error), end;
       !error && it != end; it.increment(error)) {
    if (it->path().filename() == "node.request.json") requests.push_back(it->path());
  }
  std::ranges::sort(requests);
  for (const auto& path : requests) out.nodes.push_back(read_node_request(path));
  return out;
}

}  // namespace

void add_identity_commands(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<IdentityOptions>();
  auto* org = app.add_subcommand("org", "Organisations: their authority and whom they admit");
  org->require_subcommand(1);
  auto* org_new = org->add_subcommand("new", "Make an organisation's authority in a folder");
  org_new->add_option("name", options->name, "Name")->required();
  org_new->add_option("--dir", options->folder, "Folder; default: the name");
  org_new->callback([&globals, options] {
    const stdfs::path folder = options->folder == "." ? options->name : options->folder;
    const auto key = make_organisation(folder, options->name);
    print(globals,
          {{"name", options->name},
           {"authority", to_hex(key.public_key().view())},
           {"dir", folder.string()}},
          fmt::format("organisation {} in {}: keep authority.key secret and backed up",
                      options->name, folder.string()));
  });
  const auto add_admission = [&](const std::string& command, wire::Role role,
                                 const std::string& what) {
    auto* admit_command = org->add_subcommand(command, what);
    admit_command->add_option("--org", options->organisation, "The organisation's folder")
        ->required();
    admit_command->add_option("--genesis", options->genesis, "The cluster's genesis file")
        ->required();
    if (role == wire::Role::kClient)
      admit_command->add_option("--name", options->name, "Name of the client")->required();
    admit_command->add_option("--dir", options->folder, "Where to write");
    admit_command->add_option("--days", options->days, "How long it is valid")
        ->capture_default_str();
    if (role == wire::Role::kClient) {
      admit_command->add_option("--quota-gib", options->quota_gib, "Quota, GiB")
          ->capture_default_str();
    } else {
      admit_command->add_option("--request", options->request, "The node's node.request.json")
          ->required();
    }
    admit_command->callback([&globals, options, role] {
      const auto authority = authority_in(options->organisation);
      const auto genesis = or_stop(runtime::read_genesis(options->genesis));
      const stdfs::path folder = options->folder;
      if (role == wire::Role::kNode) {
        const NodeRequest node = read_node_request(options->request);
        const auto statement = admit_node(authority, genesis.cluster(), node, options->days);
        or_stop(make_folder(folder));
        or_stop(runtime::write_statement(folder / "node.admission", statement));
        print(globals, {{"admission", (folder / "node.admission").string()}},
              (folder / "node.admission").string());
        return;
      }
      or_stop(make_folder(folder));
      const stdfs::path key_file = folder / "client.key";
      std::error_code error;
      const auto key = stdfs::exists(key_file, error) ? or_stop(crypto::read_secret_key(key_file))
                                                      : crypto::SecretKey::generate();
      if (!stdfs::exists(key_file, error)) {
        or_stop(crypto::write_secret_key(key_file, key));
        or_stop(client::begin_notes_of_new_key(folder / kClientState));
      }
      const auto statement = admit_client(authority, genesis.cluster(), key.public_key(),
                                          options->name, options->quota_gib << 30, options->days);
      write_client_folder(folder, genesis, stdfs::absolute(options->genesis), statement,
                          "client.key", {});
      print(globals, {{"cluster_file", (folder / "rosebud.toml").string()}},
            (folder / "rosebud.toml").string());
    });
  };
  add_admission("admit-client", wire::Role::kClient,
                "Admit a client; makes its key and rosebud.toml where they are missing");
  add_admission("admit-node", wire::Role::kNode, "Admit a node by its request");
  add_decree_commands(*org, globals);

  auto* node_new = app.get_subcommand("node")->add_subcommand(
      "new", "Make a node's key and its request to be admitted");
  node_new->add_option("name", options->name, "Name")->required();
  node_new->add_option("--address", options->address, "host:port that others reach it by")
      ->required();
  node_new->add_option("--dir", options->folder, "Folder; by habit ORG/nodes/NAME");
  node_new->add_option("--capacity-gib", options->capacity_gib, "Space it offers, GiB")
      ->capture_default_str();
  node_new->callback([&globals, options] {
    const auto node =
        make_node(options->folder, options->name, options->address, options->capacity_gib << 30);
    print(globals, {{"name", node.name}, {"key", to_hex(node.key.view())}},
          fmt::format("node {}: give {}/node.request.json to its organisation", node.name,
                      options->folder));
  });

  auto* cluster = app.add_subcommand("cluster", "Clusters");
  cluster->require_subcommand(1);
  auto* init = cluster->add_subcommand(
      "init", "Make and sign the genesis of a new cluster; the organisations' folders stand here");
  init->add_option("--org", options->organisations,
                   "Folder of an organisation, with its nodes' requests below nodes/")
      ->required();
  init->add_option("--faults", options->faults, "f: faulty replicas that every object bears")
      ->capture_default_str();
  init->add_option("--epoch", options->epoch_seconds,
                   "Seconds of an epoch: how soon an admission takes effect; 30 to 604800")
      ->check(CLI::Range(30, 604'800))
      ->capture_default_str();
  init->add_option("--quota-gib", options->quota_gib, "Quota of each organisation, GiB")
      ->capture_default_str();
  init->add_option("--dir", options->folder, "Where to write genesis and data directories");
  init->callback([&globals, options] {
    std::vector<OrganisationPlan> plan;
    for (const auto& folder : options->organisations)
      plan.push_back(read_organisation(folder, options->quota_gib));
    membership::Settings settings{.faults = options->faults,
                                  .cap = std::max(options->faults, 1U),
                                  .service_faults = options->faults,
                                  .epoch_seconds = options->epoch_seconds};
    const stdfs::path folder = options->folder;
    or_stop(make_folder(folder));
    const auto genesis = make_genesis(plan, settings);
    or_stop(runtime::write_genesis(folder / "genesis", genesis));
    const std::string id = to_hex(genesis.cluster().view());
    print(globals, {{"cluster", id}, {"genesis", (folder / "genesis").string()}},
          fmt::format("cluster {}\ngenesis in {}; next: rosebud node init on every node, then "
                      "rosebud org admit-client",
                      id, (folder / "genesis").string()));
  });

  add_recover_commands(*cluster, globals);

  auto* node_init = app.get_subcommand("node")->add_subcommand(
      "init", "Make an admitted node's data directory and node.toml");
  node_init
      ->add_option("--dir", options->folder,
                   "The node's folder, with node.key and node.request.json")
      ->required();
  node_init->add_option("--genesis", options->genesis, "The cluster's genesis file")->required();
  node_init->callback([&globals, options] {
    const stdfs::path folder = options->folder;
    const auto request = read_node_request(folder / "node.request.json");
    const auto genesis = or_stop(runtime::read_genesis(options->genesis));
    or_stop(disk::create_directory(
        folder / "data",
        {.cluster = genesis.cluster(), .node = request.key, .directory = request.directory}));
    or_stop(replace_file(
        folder / "node.toml",
        "genesis = \"" + stdfs::absolute(options->genesis).string() +
            "\"\nkey = \"node.key\"\ndata = \"data\"\nadmin_port_file = \"admin.port\"\n"));
    print(globals, {{"config", (folder / "node.toml").string()}},
          "next: rosebud node run --config " + (folder / "node.toml").string());
  });
}

}  // namespace rosebud::apps
