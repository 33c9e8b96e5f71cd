# frozen_string_literal: true

require "json"

module Depot
  class Shortage < StandardError; end

  class Inventory
    attr_reader :items, :limit

    LEVELS = { low: 5, "high" => 80 }.freeze

    def initialize(limit: 100, *rest, **options, &block)
      @limit = limit
      @items = Hash.new { |hash, key| hash[key] = [] }
      @listener = block || ->(name) { puts "changed: #{name}" }
      options.each_pair { |name, value| instance_variable_set("@#{name}", value) }
    end

    def add(name, count = 1)
      return if name.nil? || name.empty?

      raise Shortage, "no room for #{count} of #{name}" if total + count > @limit

      @items[name] += [count]
      @listener.call(name) unless @listener.nil?
      self
    rescue ArgumentError, TypeError => e
      warn(e.message)
      nil
    ensure
      $stderr.flush
    end

    def total
      @items.values.flatten.inject(0) { |sum, n| sum + n }
    end

    def level(name)
      case @items[name].sum
      when 0 then :none
      when 1..LEVELS[:low] then :low
      else
        @items[name].any?(&:zero?) ? :odd : :high
      end
    end

    def self.read(path)
      rows = JSON.parse(File.read(path), symbolize_names: true)
      rows.map do |row|
        next if row[:name] =~ /\A\s*\z/

        new(limit: row.fetch(:limit, 10)).add(row[:name], row[:count].to_i)
      end.compact
    end
  end
end

shelf = Depot::Inventory.new(limit: 20) { |name| print(name, "\n") }
shelf.add "bolt", 3
puts shelf.items.keys.map(&:to_s).join(", ") if shelf.total > 2
