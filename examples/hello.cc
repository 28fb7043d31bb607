// Stores a text, reads it back, and publishes its id under a name. Start a cluster first:
//
//     rosebud dev up --orgs 4 --nodes 8
#include <rosebud/rosebud.h>

#include <iostream>

namespace {

int report(const rosebud::Error& error) {
  std::cerr << "hello: " << error.text << "\n";
  return static_cast<int>(error.code);
}

}  // namespace

int main(int argc, char** argv) {
  auto cluster = rosebud::Cluster::open(argc > 1 ? argv[1] : "");
  if (!cluster) return report(cluster.error());

  const auto id = cluster->add("hello from a program\n");
  if (!id) return report(id.error());
  std::cout << "stored as " << *id << "\n";

  const auto text = cluster->cat(*id);
  if (!text) return report(text.error());
  std::cout << "read back: " << *text;

  const auto version = cluster->set("greeting", *id);
  if (!version) return report(version.error());

  const auto record = cluster->get("greeting");
  if (!record) return report(record.error());
  std::cout << "greeting is " << record->value << ", version " << record->version << "\n";
}
